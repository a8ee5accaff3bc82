// What GORM sends. Usage and the conversation with the recorder: ../README.md.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// The two versions of the application.
type oldUser struct {
	ID        int64
	Nickname  *string
	Email     *string
	Logins    int
	CreatedAt time.Time
	UpdatedAt time.Time
	Posts     []post    `gorm:"foreignKey:UserID"`
	Comments  []comment `gorm:"foreignKey:UserID"`
}

type newUser struct {
	ID        int64
	Username  *string
	Email     *string
	Logins    int
	CreatedAt time.Time
	UpdatedAt time.Time
	Posts     []post    `gorm:"foreignKey:UserID"`
	Comments  []comment `gorm:"foreignKey:UserID"`
}

type post struct {
	ID        int64
	UserID    int64
	Title     string
	CreatedAt time.Time
	UpdatedAt time.Time
	Comments  []comment `gorm:"foreignKey:PostID"`
}

type comment struct {
	ID     int64
	PostID int64
	UserID int64
	Body   string
}

// What belongs to a user, seen from the other side.
type oldPost struct {
	ID     int64
	UserID int64
	Title  string
	User   oldUser `gorm:"foreignKey:UserID"`
}

type newPost struct {
	ID     int64
	UserID int64
	Title  string
	User   newUser `gorm:"foreignKey:UserID"`
}

func (oldUser) TableName() string { return "users" }
func (newUser) TableName() string { return "users" }
func (post) TableName() string    { return "posts" }
func (oldPost) TableName() string { return "posts" }
func (newPost) TableName() string { return "posts" }
func (comment) TableName() string { return "comments" }

var stdin = bufio.NewReader(os.Stdin)

func mark(title, why string) {
	fmt.Printf("%s\t%s\n", title, why)
	if _, err := stdin.ReadString('\n'); err != nil {
		os.Exit(1)
	}
}

func must(db *gorm.DB) {
	if db.Error != nil && !errors.Is(db.Error, gorm.ErrRecordNotFound) {
		panic(db.Error)
	}
}

type row = map[string]any

func writes[User any](db *gorm.DB, name string, user func(id int64, name string) *User) {
	of := func() *gorm.DB { return db.Model(new(User)) }
	mark("Create", "`Create`: every column but the key, RETURNING it.")
	must(db.Create(user(0, "zoe")))
	mark("Create many", "`CreateInBatches`.")
	must(db.CreateInBatches([]*User{user(0, "yan"), user(0, "zoe")}, 10))
	mark("Create from a map", "Only what is named.")
	must(of().Create(row{name: "zoe", "email": "zoe@example.org"}))
	mark("Create what is not there", "`OnConflict{DoNothing}`.")
	must(db.Clauses(clause.OnConflict{DoNothing: true}).Create(user(0, "ann")))
	mark("Upsert on the name", "`OnConflict` with columns.")
	must(db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: name}},
		DoUpdates: clause.AssignmentColumns([]string{name, "email"})}).Create(user(0, "ann")))
	mark("Upsert on the key", "`OnConflict{UpdateAll}`.")
	must(db.Clauses(clause.OnConflict{UpdateAll: true}).Create(user(101, "anna")))
	mark("Save", "`Save` writes every column.")
	must(db.Save(user(101, "anna")))
	mark("Update one column", "`Update`.")
	must(db.Model(user(102, "bob")).Update(name, "bobby"))
	mark("Update by a query", "`Updates` with a map and an expression, RETURNING.")
	must(of().Where(name+" = ?", "bob").Updates(row{name: "robert", "logins": gorm.Expr("logins + ?", 1)}))
	var changed []User
	must(db.Model(&changed).Clauses(clause.Returning{}).Where("id > ?", 102).Update(name, gorm.Expr("upper("+name+")")))
	mark("Update to a sub-query", "A correlated query as the value.")
	must(db.Table("users AS u").Where("u."+name+" IS NOT NULL").
		Update(name, db.Table("comments AS c").Select("max(c.body)").Where("c.user_id = u.id")))
	mark("First or create", "`FirstOrCreate`, with what to assign.")
	must(db.Where(row{name: "zoe"}).Attrs(row{"email": "z"}).FirstOrCreate(new(User)))
	must(db.Where(row{name: "ann"}).Assign(row{"email": "a"}).FirstOrCreate(new(User)))
	mark("Delete", "By a query, RETURNING the name.")
	must(db.Clauses(clause.Returning{Columns: []clause.Column{{Name: name}}}).Where(name+" IN ?", []string{"cid", "dan"}).Delete(&changed))
}

func reads[User, Post any](db *gorm.DB, name string) {
	var users []User
	var posts []Post
	var count int64
	of := func() *gorm.DB { return db.Model(new(User)) }
	mark("Find by name", "`First` orders by the key; `Take` does not.")
	must(db.Where(name+" = ?", "ann").First(new(User)))
	must(db.Where(row{name: "ann"}).Take(new(User)))
	mark("Search", "OR, NOT, IN.")
	must(db.Where(name+" LIKE ?", "%a%").Or("email IS NULL").Not(row{name: []string{"dan"}}).Order(name + " desc").Find(&users))
	mark("A page", "With its count.")
	must(db.Order(name).Limit(2).Offset(1).Find(&users))
	must(of().Where(name+" <> ?", "dan").Count(&count))
	mark("The column only", "`Pluck`, `Distinct`.")
	var names []string
	must(of().Distinct().Order(name).Pluck(name, &names))
	mark("Eager load by a join", "`Joins`: labels like `User__name`.")
	must(db.Joins("User").Where(`"User".`+name+" = ?", "ann").Order("posts.id").Find(&posts))
	mark("Eager load by a second query", "`Preload`, with conditions.")
	must(db.Preload("User", name+" = ?", "ann").Find(&posts))
	must(db.Preload("Posts.Comments").Where(name+" = ?", "ann").Find(&users))
	mark("Group by the name", "A raw join.")
	var groups []row
	must(db.Table("users u").Select("u." + name + ", count(*) AS n").Joins("JOIN posts p ON p.user_id = u.id").
		Group("u." + name).Having("count(*) > 0").Order("u." + name).Find(&groups))
	mark("Sub-queries", "In FROM and in WHERE.")
	must(db.Table("(?) AS u", of().Select(name, "id")).Where("u." + name + " IS NOT NULL").Order("u.id").Find(&groups))
	must(db.Where("id IN (?)", of().Select("id").Where(name+" = ?", "ann")).Find(&users))
	mark("Lock", "`clause.Locking`.")
	err := db.Transaction(func(tx *gorm.DB) error {
		must(tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where(name+" = ?", "ann").Find(&users))
		return tx.Clauses(clause.Locking{Strength: "SHARE", Options: "SKIP LOCKED", Table: clause.Table{Name: clause.CurrentTable}}).
			Order(name).Limit(1).Find(&users).Error
	})
	if err != nil {
		panic(err)
	}
}

func main() {
	source := fmt.Sprintf("host=%s port=%s dbname=%s user=postgres sslmode=disable", os.Getenv("PGHOST"), os.Getenv("PGPORT"),
		os.Getenv("PGDATABASE"))
	db, err := gorm.Open(postgres.Open(source), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		panic(err)
	}
	if name := os.Getenv("NAME"); name == "nickname" {
		writes(db, name, func(id int64, name string) *oldUser { return &oldUser{ID: id, Nickname: &name} })
		reads[oldUser, oldPost](db, name)
	} else {
		writes(db, name, func(id int64, name string) *newUser { return &newUser{ID: id, Username: &name} })
		reads[newUser, newPost](db, name)
	}
}
