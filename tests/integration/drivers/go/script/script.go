// Package script is what the drivers' programs have in common: how they are called and what they print.
package script

import (
	"fmt"
	"os"
)

// First is the first key of the rows that a program makes.
const First = 1_000_000

// Arguments are the URL and the name of the column.
func Arguments() (url, column string) {
	return os.Args[1], os.Args[2]
}

// Say prints a step and what came of it.
func Say(step string, values ...any) {
	fmt.Print(step)
	for _, value := range values {
		fmt.Printf(" %q", fmt.Sprint(value))
	}
	fmt.Println()
}

// Must ends the program with an error that the script does not expect.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
