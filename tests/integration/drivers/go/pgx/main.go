// The script of README.md with pgx: binary, statement cache, batches (a pipeline), CopyFrom, a pool.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"segue/drivers/script"
)

var (
	column string
	ctx    = context.Background()
)

func failing(step string, err error) {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		script.Say(step, told.Code, told.Message, told.Position)
		return
	}
	script.Say(step, err)
}

func exec(conn *pgx.Conn, sql string, values ...any) error {
	_, err := conn.Exec(ctx, sql, values...)
	return err
}

func statements(conn *pgx.Conn) {
	var i int
	var t string
	var f float64
	var b []byte
	var a []string
	var null *bool
	script.Must(conn.QueryRow(ctx, "SELECT $1::int, $2::text, $3::float8, $4::bytea, $5::text[], $6::bool", 7, "héllo ' \\ $1", 1.5,
		[]byte{0, 1, 255}, []string{"x", "y"}, nil).Scan(&i, &t, &f, &b, &a, &null))
	script.Say("types", i, t, f, b, a, null)
	for k := 1; k <= 12; k++ {
		rows, err := conn.Query(ctx, "SELECT "+column+", city FROM users WHERE user_id = $1", k)
		script.Must(err)
		maps, err := pgx.CollectRows(rows, pgx.RowToMap)
		script.Must(err)
		script.Say("read", maps[0][column], maps[0]["city"])
	}
	var name string
	script.Must(conn.QueryRow(ctx, "INSERT INTO users (user_id, "+column+") VALUES ($1, $2) RETURNING "+column, script.First, "first").Scan(&name))
	script.Say("insert", name)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec,
		pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheDescribe} {
		tag, err := conn.Exec(ctx, "UPDATE users SET "+column+" = "+column+" || $1 WHERE user_id = $2", mode, "!", script.First)
		script.Must(err)
		script.Say("update", tag)
	}
	failing("duplicate", exec(conn, "INSERT INTO users (user_id, "+column+") VALUES ($1, 'x')", script.First))
	failing("syntax", exec(conn, "SELECT "+column+" FRM users"))
	failing("no column", exec(conn, "SELECT "+column+", nothing FROM users WHERE user_id = $1", 1))
}

func pipelines(conn *pgx.Conn) {
	batch := &pgx.Batch{}
	for n := 1; n < 500; n++ {
		batch.Queue("INSERT INTO users (user_id, "+column+") VALUES ($1, $2)", script.First+n, fmt.Sprint("many ", n))
	}
	batch.Queue("SELECT count(*) FROM users WHERE "+column+" LIKE $1", "many %")
	results := conn.SendBatch(ctx, batch)
	for n := 1; n < 500; n++ {
		_, err := results.Exec()
		script.Must(err)
	}
	var count int
	script.Must(results.QueryRow().Scan(&count))
	script.Must(results.Close())
	script.Say("batch", count)
	broken := &pgx.Batch{}
	broken.Queue("UPDATE users SET "+column+" = 'never' WHERE user_id = $1", 2)
	broken.Queue("SELECT 1/$1::int", 0)
	broken.Queue("SELECT " + column + " FROM users WHERE user_id = 2")
	failing("broken batch", conn.SendBatch(ctx, broken).Close())
	var name string
	script.Must(conn.QueryRow(ctx, "SELECT "+column+" FROM users WHERE user_id = 2").Scan(&name))
	script.Say("after it", name)
}

func transactions(conn *pgx.Conn) {
	tx, err := conn.Begin(ctx)
	script.Must(err)
	_, err = tx.Exec(ctx, "UPDATE users SET "+column+" = 'gone' WHERE user_id = 1")
	script.Must(err)
	inner, err := tx.Begin(ctx)
	script.Must(err)
	_, err = inner.Exec(ctx, "SELECT 1/$1::int", 0)
	failing("in transaction", err)
	_, err = inner.Exec(ctx, "SELECT 1")
	failing("aborted", err)
	script.Must(inner.Rollback(ctx))
	var name string
	script.Must(tx.QueryRow(ctx, "SELECT "+column+" FROM users WHERE user_id = 1").Scan(&name))
	script.Say("after savepoint", name)
	script.Must(tx.Rollback(ctx))

	copied, err := conn.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"user_id", column},
		pgx.CopyFromSlice(2000, func(n int) ([]any, error) { return []any{script.First + 1000 + n, fmt.Sprint("copied ", n)}, nil }))
	script.Must(err)
	script.Say("copied", copied)
	var out bytes.Buffer
	tag, err := conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT user_id, "+column+" FROM users WHERE user_id >= 1002990) TO STDOUT")
	script.Must(err)
	script.Say("copy out", tag, out.String())
}

func asides(conn *pgx.Conn, url string) {
	script.Must(exec(conn, "LISTEN told"))
	script.Must(exec(conn, "NOTIFY told, 'something'"))
	told, err := conn.WaitForNotification(ctx)
	script.Must(err)
	script.Say("notify", told.Channel, told.Payload)
	cancelled := make(chan error)
	go func() {
		time.Sleep(300 * time.Millisecond)
		cancelled <- conn.PgConn().CancelRequest(ctx)
	}()
	failing("cancel", exec(conn, "SELECT pg_sleep(60)"))
	script.Must(<-cancelled)
	var large string
	script.Must(conn.QueryRow(ctx, "SELECT repeat('x', 3000000) || $1::text", strings.Repeat("y", 1_000_000)).Scan(&large))
	script.Say("large", len(large))
	pool, err := pgxpool.New(ctx, url)
	script.Must(err)
	var group sync.WaitGroup
	names := make([]string, 100)
	for k := range names {
		group.Add(1)
		go func(k int) {
			defer group.Done()
			script.Must(pool.QueryRow(ctx, "SELECT "+column+" FROM users WHERE user_id = $1", k+1).Scan(&names[k]))
		}(k)
	}
	group.Wait()
	pool.Close()
	script.Say("together", names)
	tag, err := conn.Exec(ctx, "DELETE FROM users WHERE user_id BETWEEN $1 AND $2", script.First+1, script.First+250)
	script.Must(err)
	script.Say("delete", tag)
}

func main() {
	var url string
	url, column = script.Arguments()
	conn, err := pgx.Connect(ctx, url)
	script.Must(err)
	statements(conn)
	pipelines(conn)
	transactions(conn)
	asides(conn, url)
	script.Must(conn.Close(ctx))
}
