# What Rails' Active Record sends. Usage and the conversation with the recorder: README.md.

require "active_record"

NAME = ENV.fetch("NAME").to_sym
# A column, or an index by its name.
UNIQUE_BY = ENV.fetch("UNIQUE_BY", NAME).to_sym
ActiveRecord::Base.establish_connection(
  adapter: "postgresql", host: ENV.fetch("PGHOST"), port: ENV.fetch("PGPORT"), database: ENV.fetch("PGDATABASE"),
  username: "postgres"
)
ActiveRecord::Base.default_timezone = :utc

class User < ActiveRecord::Base
  has_many :posts, dependent: :delete_all
  has_many :comments
  validates NAME, uniqueness: true, presence: true
end

class Post < ActiveRecord::Base
  belongs_to :user
  has_many :comments
end

class Comment < ActiveRecord::Base
  belongs_to :post
  belongs_to :user
end

def mark(title, why)
  $stdout.puts "#{title}\t#{why}"
  $stdout.flush
  exit!(1) unless $stdin.gets
end

def writes
  mark "Create", "A validation asks for the name first; then the INSERT."
  User.create!(NAME => "zoe", email: "zoe@example.org")
  mark "Create many", "`insert_all!`: without validations, all of them in one statement."
  User.insert_all!([{ NAME => "yan", created_at: Time.now, updated_at: Time.now },
                    { NAME => "zoe", created_at: Time.now, updated_at: Time.now }])
  mark "Create many, some there already", "`insert_all`."
  User.insert_all([{ NAME => "ann", created_at: Time.now, updated_at: Time.now }])
  mark "Update", "What changed is written, under the version that was read (`lock_version`)."
  User.find(101).update!(NAME => "anna")
  mark "Update without validation", "`update_column`."
  User.find(102).update_column(NAME, "bobby")
  mark "Update by a query", "`update_all` with a hash."
  User.where(NAME => "bob").update_all(NAME => "robert", email: nil)
  mark "Update by a piece of SQL", "`update_all` with a string, as applications write it."
  User.where("#{NAME} LIKE ?", "c%").update_all("#{NAME} = upper(#{NAME}), logins = logins + 1")
  mark "Update through a join", "Active Record makes a sub-query of it."
  User.joins(:posts).where(posts: { title: "second" }).update_all(NAME => "author")
  mark "Upsert", "`upsert_all` on the name: what is there already gets every other column."
  User.upsert_all([{ NAME => "ann", email: "new@example.org", created_at: Time.now, updated_at: Time.now }], unique_by: UNIQUE_BY)
  mark "Upsert on the key", "The name is what is overwritten."
  User.upsert_all([{ id: 101, NAME => "anna", created_at: Time.now, updated_at: Time.now }], returning: [:id, NAME])
  mark "Find or create", "`find_or_create_by!`."
  User.find_or_create_by!(NAME => "zoe")
  mark "Create or find", "`create_or_find_by`: the INSERT may fail inside its savepoint."
  User.create_or_find_by!(NAME => "yan")
  mark "Delete by a query", "`delete_all`."
  User.where(NAME => %w[cid dan]).delete_all
  mark "Destroy", "With what depends on it."
  User.find_by!(NAME => "cid").destroy!
  mark "Touch with a counter", "`update_counters` leaves the name alone."
  User.update_counters(101, logins: 1)
end

def reads
  mark "Find by name", "`find_by`: `users.*`."
  User.find_by(NAME => "ann")
  mark "Search", "OR, NOT, LIKE, a range."
  User.where(NAME => "ann").or(User.where(NAME => nil)).to_a
  User.where.not(NAME => "ann").where(NAME => "b".."d").order(NAME => :desc).to_a
  mark "A page", "With its count."
  User.order(NAME).limit(2).offset(1).to_a
  User.where("users.#{NAME} > ?", "a").count
  mark "First and last", "By the name."
  User.order(NAME).first
  User.order(NAME).last
  mark "In batches", "`find_each`."
  User.where(NAME => %w[ann bob]).find_each(batch_size: 1) { |user| user }
  mark "The column only", "`pluck`, `distinct`, `select`."
  User.order(NAME).distinct.pluck(NAME)
  User.select(:id, NAME).order(:id).to_a
  mark "Eager load by a join", "`eager_load`: every column has a label of its own."
  User.eager_load(posts: :comments).where(posts: { title: "first" }).order(NAME, "posts.id", "comments.id").to_a
  mark "Eager load under a limit", "The keys are looked for first, with DISTINCT and the order's column as `alias_0`."
  User.eager_load(:posts).order(NAME, "posts.id").limit(2).to_a
  mark "Eager load by a second query", "`preload`."
  Post.preload(:user).order(:id).to_a
  mark "Filter across joins", "`joins` with a hash."
  Comment.joins(post: :user).where(users: { NAME => "ann" }).order(:id).to_a
  mark "Without associated rows", "`where.missing`."
  User.where.missing(:posts).order(NAME).to_a
  mark "Group by the name", "`group.count`: a label is made of the name."
  User.joins(:posts).group(NAME).count
  User.joins(:posts).group(NAME).having("count(*) > 1").sum(:logins)
  mark "Exists", "`exists?`, `pick`."
  User.exists?(NAME => "ann")
  User.where(NAME => "ann").pick(:id)
  mark "Extremes", "`minimum` and `maximum`."
  User.maximum(NAME)
  mark "Sub-query", "A relation as a condition."
  Post.where(user_id: User.where(NAME => "ann").select(:id)).to_a
  mark "From a sub-query", "`from`: the derived table is called as the table is."
  User.from(User.where(NAME => "ann"), :users).where(NAME => "ann").to_a
  mark "Lock", "`lock`, `with_lock`."
  User.transaction do
    User.lock.find_by(NAME => "ann")
    User.order(NAME).lock("FOR UPDATE SKIP LOCKED").first
    User.find(102).with_lock { true }
  end
  mark "A piece of SQL", "`find_by_sql`."
  User.find_by_sql(["SELECT u.*, count(p.id) AS n FROM users u LEFT JOIN posts p ON p.user_id = u.id " \
                    "WHERE u.#{NAME} IN (?) GROUP BY u.id ORDER BY u.#{NAME}", %w[ann bob]])
end

ENV.fetch("ROUNDS", "1").to_i.times do
  writes
  reads
end
