// The script of README.md with lib/pq through database/sql: prepared statements, a pool, COPY as a statement.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

const first = 1_000_000

var column string

func say(step string, values ...any) {
	fmt.Print(step)
	for _, value := range values {
		fmt.Printf(" %q", fmt.Sprint(value))
	}
	fmt.Println()
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func failing(step string, err error) {
	var told *pq.Error
	if errors.As(err, &told) {
		say(step, told.Code, told.Message, told.Position)
		return
	}
	say(step, err)
}

func statements(db *sql.DB) {
	var i, t, n, a string
	var b []byte
	var null sql.NullBool
	must(db.QueryRow("SELECT $1::int, $2::text, $3::numeric, $4::bytea, $5::text[], $6::bool", 7, "héllo ' \\ $1", "12.3400",
		[]byte{0, 1, 255}, pq.Array([]string{"x", "y"}), nil).Scan(&i, &t, &n, &b, &a, &null))
	say("types", i, t, n, b, a, null)
	read, err := db.Prepare("SELECT " + column + ", city FROM users WHERE user_id = $1")
	must(err)
	for k := 1; k <= 12; k++ {
		var name, city string
		must(read.QueryRow(k).Scan(&name, &city))
		say("read", name, city)
	}
	var name string
	must(db.QueryRow("INSERT INTO users (user_id, "+column+") VALUES ($1, $2) RETURNING "+column, first, "first").Scan(&name))
	say("insert", name)
	done, err := db.Exec("UPDATE users SET "+column+" = upper("+column+") WHERE user_id = $1", first)
	must(err)
	rows, _ := done.RowsAffected()
	say("update", rows)
	_, err = db.Exec("INSERT INTO users (user_id, "+column+") VALUES ($1, 'x')", first)
	failing("duplicate", err)
	_, err = db.Exec("SELECT " + column + " FRM users")
	failing("syntax", err)
	_, err = db.Exec("SELECT "+column+", nothing FROM users WHERE user_id = $1", 1)
	failing("no column", err)
	_, err = db.Exec("UPDATE users SET " + column + " = " + column + " WHERE user_id = 3; SELECT 2")
	must(err)
}

func transactions(db *sql.DB) {
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("UPDATE users SET " + column + " = 'gone' WHERE user_id = 1")
	must(err)
	_, err = tx.Exec("SAVEPOINT s")
	must(err)
	_, err = tx.Exec("SELECT 1/$1::int", 0)
	failing("in transaction", err)
	_, err = tx.Exec("SELECT 1")
	failing("aborted", err)
	_, err = tx.Exec("ROLLBACK TO s")
	must(err)
	var name string
	must(tx.QueryRow("SELECT " + column + " FROM users WHERE user_id = 1").Scan(&name))
	say("after savepoint", name)
	must(tx.Rollback())

	tx, err = db.Begin()
	must(err)
	copied, err := tx.Prepare(pq.CopyIn("users", "user_id", column))
	must(err)
	for n := 1000; n < 3000; n++ {
		_, err = copied.Exec(first+n, fmt.Sprint("copied ", n))
		must(err)
	}
	_, err = copied.Exec()
	must(err)
	must(copied.Close())
	must(tx.Commit())
	var count int
	must(db.QueryRow("SELECT count(*) FROM users WHERE "+column+" LIKE $1", "copied %").Scan(&count))
	say("copied", count)
}

func asides(db *sql.DB, url string) {
	listener := pq.NewListener(url, time.Second, time.Second, nil)
	must(listener.Listen("told"))
	_, err := db.Exec("NOTIFY told, 'something'")
	must(err)
	for told := range listener.Notify {
		if told != nil {
			say("notify", told.Channel, told.Extra)
			break
		}
	}
	must(listener.Close())
	ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer stop()
	_, err = db.ExecContext(ctx, "SELECT pg_sleep(60)")
	failing("cancel", err)
	var large string
	must(db.QueryRow("SELECT repeat('x', 3000000) || $1::text", strings.Repeat("y", 1_000_000)).Scan(&large))
	say("large", len(large))
	var group sync.WaitGroup
	names := make([]string, 100)
	for k := range names {
		group.Add(1)
		go func(k int) {
			defer group.Done()
			must(db.QueryRow("SELECT "+column+" FROM users WHERE user_id = $1", k+1).Scan(&names[k]))
		}(k)
	}
	group.Wait()
	say("together", names)
	done, err := db.Exec("DELETE FROM users WHERE user_id BETWEEN $1 AND $2", first+1, first+1250)
	must(err)
	rows, _ := done.RowsAffected()
	say("delete", rows)
}

func main() {
	url := os.Args[1]
	column = os.Args[2]
	db, err := sql.Open("postgres", url)
	must(err)
	db.SetMaxOpenConns(8)
	statements(db)
	transactions(db)
	asides(db, url)
	must(db.Close())
}
