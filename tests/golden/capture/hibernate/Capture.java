// What Hibernate sends. Usage and the conversation with the recorder: ../README.md.

import jakarta.persistence.*;
import java.util.*;
import java.util.function.Consumer;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.boot.model.naming.*;
import org.hibernate.cfg.Configuration;
import org.hibernate.engine.jdbc.env.spi.JdbcEnvironment;

public class Capture {
    static final String NAME = System.getenv("NAME");

    @Entity(name = "User")
    @Table(name = "users")
    public static class User {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Long id;

        // Called by its column's name through the naming strategy below.
        @Column(name = "the_name", length = 100)
        String name;

        String email;
        int logins;

        @Version
        @Column(name = "lock_version")
        int version;

        @OneToMany(mappedBy = "user")
        List<Post> posts = new ArrayList<>();
    }

    @Entity(name = "Post")
    @Table(name = "posts")
    public static class Post {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Long id;

        String title;

        @ManyToOne(fetch = FetchType.LAZY)
        @JoinColumn(name = "user_id")
        User user;

        @OneToMany(mappedBy = "post")
        List<Comment> comments = new ArrayList<>();
    }

    @Entity(name = "Comment")
    @Table(name = "comments")
    public static class Comment {
        @Id
        @GeneratedValue(strategy = GenerationType.IDENTITY)
        Long id;

        String body;

        @ManyToOne
        @JoinColumn(name = "post_id")
        Post post;

        @ManyToOne
        @JoinColumn(name = "user_id")
        User user;
    }

    public static class Naming extends PhysicalNamingStrategyStandardImpl {
        @Override
        public Identifier toPhysicalColumnName(Identifier name, JdbcEnvironment environment) {
            return name.getText().equals("the_name") ? Identifier.toIdentifier(NAME) : name;
        }
    }

    static SessionFactory factory;
    static final Scanner stdin = new Scanner(System.in);

    /** One scene, in a transaction. */
    static void scene(String title, String why, Consumer<Session> work) {
        System.out.println(title + "\t" + why);
        stdin.nextLine();
        factory.inTransaction(work::accept);
    }

    static User user(String name) {
        User user = new User();
        user.name = name;
        return user;
    }

    static void read(Session s, String hql) {
        s.createSelectionQuery(hql, Object.class).getResultList();
    }

    static void write(Session s, String hql) {
        s.createMutationQuery(hql).executeUpdate();
    }

    static void writes() {
        scene("Create", "`persist`: every column but the key, RETURNING it.", s -> s.persist(user("zoe")));
        scene("Update", "Every column, under key and version.", s -> s.find(User.class, 101L).name = "anna");
        scene("Merge", "What is detached is read first.", s -> {
            User user = user("anna");
            user.id = 101L;
            s.merge(user);
        });
        scene("Update by HQL", "Computed by the server.",
            s -> write(s, "update User u set u.name = upper(u.name) || '!', u.logins = u.logins + 1 where u.name like 'a%'"));
        scene("Update a versioned entity by HQL", "`update versioned`, to a sub-query.",
            s -> write(s, "update versioned User u set u.name = (select max(c.body) from Comment c where c.user = u) where u.id < 103"));
        scene("Insert by HQL", "`insert … select`.",
            s -> write(s, "insert into User (name, email, logins, version) select u.name || '-2', u.email, 0, 0 from User u where u.id > 102"));
        scene("Insert values by HQL", "Several rows.",
            s -> write(s, "insert into User (name, logins, version) values ('yan', 0, 0), ('zoe', 0, 0)"));
        scene("Upsert by HQL", "`on conflict`, with `excluded`.",
            s -> write(s, "insert into User (name, email, logins, version) values ('ann', 'new@example.org', 0, 0)"
                + " on conflict (name) do update set name = excluded.name, email = excluded.email"));
        scene("Upsert of an entity", "`StatelessSession.upsert`: MERGE where the dialect has it, or ON CONFLICT.",
            s -> factory.inStatelessSession(stateless -> {
                User user = user("anna");
                user.id = 101L;
                user.version = 0;
                stateless.upsert(user);
            }));
        scene("Delete by HQL", "With a sub-query.",
            s -> write(s, "delete from User u where u.name = 'cid' or not exists (select 1 from Post p where p.user = u)"));
        scene("Delete", "Of an entity, under key and version.", s -> s.remove(s.find(User.class, 103L)));
    }

    static void reads() {
        scene("Find by name", "Aliases are made by number: `u1_0`.", s -> read(s, "from User u where u.name = 'ann'"));
        scene("Search", "OR, ILIKE, IN.",
            s -> read(s, "from User u where u.name ilike '%an%' or u.email is null and u.name not in ('x', 'dan') order by u.name desc nulls last"));
        scene("A page", "FETCH FIRST and OFFSET; then the count.", s -> {
            s.createSelectionQuery("from User u order by u.name", User.class).setFirstResult(1).setMaxResults(2).getResultList();
            read(s, "select count(distinct u.name) from User u where u.name >= 'a'");
        });
        scene("Eager load by a join", "`join fetch`, two levels.",
            s -> read(s, "from User u left join fetch u.posts p where u.name <> 'dan' order by u.name, p.id"));
        scene("Eager load to one", "What is not lazy comes by a join of its own, or by a second query.", s -> {
            read(s, "from Comment c join fetch c.post p join fetch p.user where c.user.name = 'bob'");
            s.find(Comment.class, 301L);
        });
        scene("A selection of the name", "Grouped, with a condition on the group.",
            s -> read(s, "select u.name, count(p) from User u join u.posts p group by u.name having count(p) > 0 order by u.name"));
        scene("Group by the entity", "Every column of it is in GROUP BY.",
            s -> read(s, "select u, count(p) from User u left join u.posts p group by u order by u.name"));
        scene("Sub-query in FROM", "A derived table; its columns are its own.",
            s -> read(s, "select d.n, d.c from (select u.name as n, count(*) as c from User u group by u.name) d order by d.n"));
        scene("Common table expression", "WITH in HQL.",
            s -> read(s, "with d as (select u.name as n, u.id as i from User u) select d.n from d d where d.i > 101 order by d.n"));
        scene("Union", "Of two selections.", s -> read(s, "select u.name from User u union select c.body from Comment c"));
        scene("Window", "`row_number() over`.",
            s -> read(s, "select u.name, row_number() over (partition by u.email order by u.name) from User u order by u.name"));
        scene("Lock", "Pessimistic, all its forms.", s -> {
            s.createSelectionQuery("from User u where u.name = 'ann'", User.class).setLockMode(LockModeType.PESSIMISTIC_WRITE).getResultList();
            s.createSelectionQuery("from Post p join fetch p.user u where u.name = 'ann'", Post.class)
                .setHibernateLockMode(org.hibernate.LockMode.UPGRADE_SKIPLOCKED).getResultList();
            s.find(User.class, 102L, LockModeType.PESSIMISTIC_READ);
        });
    }

    public static void main(String[] arguments) {
        factory = new Configuration()
            .addAnnotatedClass(User.class).addAnnotatedClass(Post.class).addAnnotatedClass(Comment.class)
            .setPhysicalNamingStrategy(new Naming())
            .setProperty("hibernate.connection.url", "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
                + "/" + System.getenv("PGDATABASE") + "?user=postgres&sslmode=disable")
            .setProperty("hibernate.temporary_table.create_tables", "false")
            .buildSessionFactory();
        writes();
        reads();
        factory.close();
    }
}
