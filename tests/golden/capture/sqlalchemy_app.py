"""What SQLAlchemy's ORM sends. Usage and the conversation with the recorder: README.md."""

import os

from sqlalchemy import (ForeignKey, String, Text, case, create_engine, delete, exists, func, insert, literal, select, text, tuple_, union,
                        update)
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import (DeclarativeBase, Session, aliased, contains_eager, joinedload, mapped_column, relationship,
                            selectinload, subqueryload)
from sqlalchemy.types import BigInteger, Integer

import mark as recorder

NAME = os.environ["NAME"]
engine = create_engine(f"postgresql+psycopg://postgres@{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}",
                       connect_args={"sslmode": "disable"})


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id = mapped_column(BigInteger, primary_key=True)
    name = mapped_column(NAME, String(100), unique=True)
    email = mapped_column(String(255))
    logins = mapped_column(Integer, server_default="0")
    lock_version = mapped_column(Integer, nullable=False)
    posts = relationship("Post", back_populates="user", passive_deletes=True)
    comments = relationship("Comment", back_populates="user", passive_deletes=True)
    __mapper_args__ = {"version_id_col": lock_version}


class Post(Base):
    __tablename__ = "posts"
    id = mapped_column(BigInteger, primary_key=True)
    user_id = mapped_column(ForeignKey("users.id"))
    title = mapped_column(Text)
    user = relationship("User", back_populates="posts")
    comments = relationship("Comment", back_populates="post")


class Comment(Base):
    __tablename__ = "comments"
    id = mapped_column(BigInteger, primary_key=True)
    post_id = mapped_column(ForeignKey("posts.id"))
    user_id = mapped_column(ForeignKey("users.id"))
    body = mapped_column(Text)
    post = relationship("Post", back_populates="comments")
    user = relationship("User", back_populates="comments")


def mark(title, why):
    the_session.rollback()  # a read leaves a transaction open, in which the recorder cannot start anew
    recorder.mark(title, why)


def writes(session):
    mark("Create", "`session.add` of one object.")
    session.add(User(name="zoe", email="zoe@example.org"))
    session.commit()
    mark("Create many", "`session.add_all`: rows by way of VALUES in a sub-select, so that they come back in order"
         " (\"insertmanyvalues\").")
    session.add_all([User(name=n, email=n + "@example.org") for n in ("xan", "yan", "zoe")])
    session.commit()
    mark("Create many with the core", "A list of dictionaries: VALUES with several rows.")
    session.execute(insert(User).values([{NAME: "xan", "lock_version": 1}, {NAME: "yan", "lock_version": 1}]))
    session.commit()
    mark("Update", "A flush writes what changed, searched by key and version.")
    user = session.get(User, 101)
    user.name = "anna"
    session.commit()
    mark("Update by a query", "`update()` with what is computed by the server, and RETURNING.")
    session.execute(update(User).where(User.name == "bob").values({User.name: func.upper(User.name) + "!"})
                    .returning(User.id, User.name))
    session.commit()
    mark("Update from another table", "UPDATE … FROM, by a join in WHERE.")
    session.execute(update(User).where(User.id == Post.user_id, Post.title == "second").values({User.name: Post.title}),
                    execution_options={"synchronize_session": False})
    session.commit()
    mark("Update to a sub-query", "A correlated scalar sub-query as the value.")
    last = select(func.max(Comment.body)).where(Comment.user_id == User.id).scalar_subquery()
    session.execute(update(User).values({User.name: last}), execution_options={"synchronize_session": False})
    session.commit()
    mark("Update by CASE", "As bulk updates are written by hand.")
    session.execute(update(User).where(User.name.in_(["ann", "bob"])).values(
        {User.name: case((User.name == "ann", "a1"), else_="b2")}), execution_options={"synchronize_session": False})
    session.commit()
    mark("Upsert", "`on_conflict_do_update` with `excluded`, a condition, RETURNING.")
    statement = pg_insert(User).values({NAME: "ann", "email": "new@example.org", "lock_version": 1})
    session.execute(statement.on_conflict_do_update(
        index_elements=[User.name], set_={NAME: statement.excluded[NAME], "email": statement.excluded.email},
        where=User.email.is_distinct_from(statement.excluded.email)).returning(User.id))
    session.commit()
    mark("Insert what is not there", "`on_conflict_do_nothing`.")
    session.execute(pg_insert(User).values({NAME: "ann", "lock_version": 1}).on_conflict_do_nothing(index_elements=[NAME]))
    session.commit()
    mark("Insert from a query", "`insert().from_select`.")
    session.execute(insert(User).from_select(
        [NAME, "email", "lock_version"], select(func.concat(User.name, "-2"), User.email, literal(1)).where(User.id > 102)))
    session.commit()
    mark("Delete", "Of an object, searched by key and version.")
    session.delete(session.get(User, 103))
    session.commit()
    mark("Delete by a query", "DELETE … USING, RETURNING.")
    session.execute(delete(User).where(User.id == Post.user_id, User.name == "bob").returning(User.name),
                    execution_options={"synchronize_session": False})
    session.commit()


def reads(session):
    mark("Find by name", "Labels are `table_column`.")
    session.scalars(select(User).where(User.name == "ann")).one()
    mark("A page", "Order, LIMIT and OFFSET; then the count over a sub-select.")
    page = select(User).order_by(User.name.desc().nulls_last(), User.id)
    session.scalars(page.limit(2).offset(1)).all()
    session.scalar(select(func.count()).select_from(page.order_by(None).subquery()))
    mark("A page by key", "Row comparison: keyset pagination.")
    session.scalars(select(User).where(tuple_(User.name, User.id) > ("ann", 1)).order_by(User.name, User.id).limit(2)).all()
    mark("Eager load by a join", "`joinedload`, under a LIMIT: the page is a derived table, whose columns are its own.")
    session.scalars(select(User).options(joinedload(User.posts)).order_by(User.name).limit(2)).unique().all()
    mark("Eager load, two levels", "Comments with their user, and their post with its user.")
    session.scalars(select(Comment).options(joinedload(Comment.user), joinedload(Comment.post).joinedload(Post.user))).all()
    mark("Eager load by IN", "`selectinload`.")
    session.expire_all()
    session.scalars(select(Post).options(selectinload(Post.user)).order_by(Post.id)).all()
    mark("Eager load by a sub-query", "`subqueryload`.")
    session.expire_all()
    session.scalars(select(User).where(User.name.like("%a%")).options(subqueryload(User.posts))).all()
    mark("Eager load of a filtered join", "`contains_eager`.")
    session.scalars(select(Post).join(Post.user).where(User.name == "ann").options(contains_eager(Post.user))).all()
    mark("Self join", "`aliased`: the table under two names.")
    other = aliased(User)
    session.execute(select(User.name, other.name).join(other, User.id < other.id).order_by(User.name, other.name)).all()
    mark("Group by the name", "With HAVING and an ordered aggregate.")
    session.execute(select(User.name, func.count(Post.id)).join(Post).group_by(User.name)
                    .having(func.count(Post.id) > 0).order_by(User.name)).all()
    mark("Window", "`over()`.")
    session.execute(select(User.name, func.row_number().over(partition_by=User.email, order_by=User.name))
                    .order_by(User.name)).all()
    mark("Common table expression", "`cte()`: what it exposes is its own.")
    names = select(User.name, func.count().label("n")).group_by(User.name).cte("names")
    session.execute(select(names).where(names.c.name.is_not(None)).order_by(names.c.name)).all()
    mark("Union", "Of two selections.")
    session.execute(union(select(User.name), select(Comment.body)).order_by(text(NAME))).all()
    mark("Exists", "Correlated.")
    session.scalars(select(User).where(exists().where(Comment.user_id == User.id, Comment.body == User.name))).all()
    mark("LATERAL", "A correlated derived table.")
    post = select(Post.title).where(Post.user_id == User.id, Post.title != User.name).order_by(Post.id).limit(1).lateral("p")
    session.execute(select(User.name, post.c.title).join(post, literal(True)).order_by(User.name)).all()
    mark("Lock", "`with_for_update`, all its forms.")
    session.scalars(select(User).where(User.name == "ann").with_for_update()).all()
    session.scalars(select(User).order_by(User.name).limit(1).with_for_update(skip_locked=True)).all()
    session.execute(select(Post, User).join(User).with_for_update(of=User, nowait=True, key_share=True)).all()
    session.commit()


with Session(engine) as the_session:
    writes(the_session)
    reads(the_session)
