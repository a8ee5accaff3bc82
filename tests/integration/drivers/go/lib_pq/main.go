// The script of README.md with lib/pq through database/sql: prepared statements, a pool, COPY as a statement.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"

	"segue/drivers/script"
)

var column string

func failing(step string, err error) {
	var told *pq.Error
	if errors.As(err, &told) {
		script.Say(step, told.Code, told.Message, told.Position)
		return
	}
	script.Say(step, err)
}

func statements(db *sql.DB) {
	var i, t, n, a string
	var b []byte
	var null sql.NullBool
	script.Must(db.QueryRow("SELECT $1::int, $2::text, $3::numeric, $4::bytea, $5::text[], $6::bool", 7, "héllo ' \\ $1", "12.3400",
		[]byte{0, 1, 255}, pq.Array([]string{"x", "y"}), nil).Scan(&i, &t, &n, &b, &a, &null))
	script.Say("types", i, t, n, b, a, null)
	read, err := db.Prepare("SELECT " + column + ", city FROM users WHERE user_id = $1")
	script.Must(err)
	for k := 1; k <= 12; k++ {
		var name, city string
		script.Must(read.QueryRow(k).Scan(&name, &city))
		script.Say("read", name, city)
	}
	var name string
	script.Must(db.QueryRow("INSERT INTO users (user_id, "+column+") VALUES ($1, $2) RETURNING "+column, script.First, "first").Scan(&name))
	script.Say("insert", name)
	done, err := db.Exec("UPDATE users SET "+column+" = upper("+column+") WHERE user_id = $1", script.First)
	script.Must(err)
	rows, _ := done.RowsAffected()
	script.Say("update", rows)
	_, err = db.Exec("INSERT INTO users (user_id, "+column+") VALUES ($1, 'x')", script.First)
	failing("duplicate", err)
	_, err = db.Exec("SELECT " + column + " FRM users")
	failing("syntax", err)
	_, err = db.Exec("SELECT "+column+", nothing FROM users WHERE user_id = $1", 1)
	failing("no column", err)
	_, err = db.Exec("UPDATE users SET " + column + " = " + column + " WHERE user_id = 3; SELECT 2")
	script.Must(err)
}

func transactions(db *sql.DB) {
	tx, err := db.Begin()
	script.Must(err)
	_, err = tx.Exec("UPDATE users SET " + column + " = 'gone' WHERE user_id = 1")
	script.Must(err)
	_, err = tx.Exec("SAVEPOINT s")
	script.Must(err)
	_, err = tx.Exec("SELECT 1/$1::int", 0)
	failing("in transaction", err)
	_, err = tx.Exec("SELECT 1")
	failing("aborted", err)
	_, err = tx.Exec("ROLLBACK TO s")
	script.Must(err)
	var name string
	script.Must(tx.QueryRow("SELECT " + column + " FROM users WHERE user_id = 1").Scan(&name))
	script.Say("after savepoint", name)
	script.Must(tx.Rollback())

	tx, err = db.Begin()
	script.Must(err)
	copied, err := tx.Prepare(pq.CopyIn("users", "user_id", column))
	script.Must(err)
	for n := 1000; n < 3000; n++ {
		_, err = copied.Exec(script.First+n, fmt.Sprint("copied ", n))
		script.Must(err)
	}
	_, err = copied.Exec()
	script.Must(err)
	script.Must(copied.Close())
	script.Must(tx.Commit())
	var count int
	script.Must(db.QueryRow("SELECT count(*) FROM users WHERE "+column+" LIKE $1", "copied %").Scan(&count))
	script.Say("copied", count)
}

func asides(db *sql.DB, url string) {
	listener := pq.NewListener(url, time.Second, time.Second, nil)
	script.Must(listener.Listen("told"))
	_, err := db.Exec("NOTIFY told, 'something'")
	script.Must(err)
	for told := range listener.Notify {
		if told != nil {
			script.Say("notify", told.Channel, told.Extra)
			break
		}
	}
	script.Must(listener.Close())
	ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer stop()
	_, err = db.ExecContext(ctx, "SELECT pg_sleep(60)")
	failing("cancel", err)
	var large string
	script.Must(db.QueryRow("SELECT repeat('x', 3000000) || $1::text", strings.Repeat("y", 1_000_000)).Scan(&large))
	script.Say("large", len(large))
	var group sync.WaitGroup
	names := make([]string, 100)
	for k := range names {
		group.Add(1)
		go func(k int) {
			defer group.Done()
			script.Must(db.QueryRow("SELECT "+column+" FROM users WHERE user_id = $1", k+1).Scan(&names[k]))
		}(k)
	}
	group.Wait()
	script.Say("together", names)
	done, err := db.Exec("DELETE FROM users WHERE user_id BETWEEN $1 AND $2", script.First+1, script.First+1250)
	script.Must(err)
	rows, _ := done.RowsAffected()
	script.Say("delete", rows)
}

func main() {
	var url string
	url, column = script.Arguments()
	db, err := sql.Open("postgres", url)
	script.Must(err)
	db.SetMaxOpenConns(8)
	statements(db)
	transactions(db)
	asides(db, url)
	script.Must(db.Close())
}
