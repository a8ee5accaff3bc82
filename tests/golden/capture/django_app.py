"""What Django's ORM sends. Usage and the conversation with the recorder: README.md."""

import os
import sys

import django
from django.apps import AppConfig
from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, Value
from django.db.models.functions import Concat, Upper

from mark import mark

NAME = os.environ["NAME"]

settings.configure(
    INSTALLED_APPS=[AppConfig("capture", sys.modules[__name__])],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
        "NAME": os.environ["PGDATABASE"], "USER": "postgres", "CONN_MAX_AGE": None}},
    USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()

from django.db import models, transaction  # noqa: E402  # after the settings, as Django will have it


class Row(models.Model):
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        app_label = "capture"


def table(name):
    return type("Meta", (), {"app_label": "capture", "db_table": name})


User = type("User", (Row,), {
    "__module__": __name__, "Meta": table("users"), NAME: models.CharField(max_length=100, unique=True),
    "email": models.CharField(max_length=255, null=True), "logins": models.IntegerField(default=0),
    "lock_version": models.IntegerField(default=0)})


class Post(Row):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="posts")
    title = models.TextField()

    Meta = table("posts")


class Comment(Row):
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="comments")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="comments")
    body = models.TextField()

    Meta = table("comments")


def writes():
    mark("Create", "`Model.objects.create`: every column but the key, named.")
    User.objects.create(**{NAME: "zoe", "email": "zoe@example.org"})
    mark("Create many", "`bulk_create`.")
    User.objects.bulk_create([User(**{NAME: "zoe"}), User(**{NAME: "yan", "email": "yan@example.org"})])
    mark("Create many, some there already", "`bulk_create(ignore_conflicts=True)`: no conflict target is named.")
    User.objects.bulk_create([User(**{NAME: "ann"}), User(**{NAME: "yan"})], ignore_conflicts=True)
    mark("Save", "`save()` writes every column.")
    user = User.objects.get(pk=101)
    setattr(user, NAME, "anna")
    user.save()
    mark("Save one field", "`save(update_fields=…)`.")
    user = User(pk=102, **{NAME: "bobby"})
    user.save(update_fields=[NAME])
    mark("Update by a query", "`QuerySet.update`, searched by the name it sets.")
    User.objects.filter(**{NAME: "bob"}).update(**{NAME: "robert", "logins": F("logins") + 1})
    mark("Update from the column itself", "`F` expressions: the value is computed by the server.")
    User.objects.update(**{NAME: Concat(Upper(NAME), Value("!"))})
    mark("Update many", "`bulk_update`: a CASE for every row.")
    User.objects.bulk_update([User(pk=101, **{NAME: "a1"}), User(pk=102, **{NAME: "b2"})], [NAME])
    mark("Update through a join", "Django turns it into a sub-query on the key.")
    User.objects.filter(posts__title="second").update(**{NAME: "author"})
    mark("Update or create", "`update_or_create`: the row is locked, then written.")
    User.objects.update_or_create(**{NAME: "ann"}, defaults={"email": "new@example.org"})
    mark("Get or create", "`get_or_create`.")
    User.objects.get_or_create(**{NAME: "zoe"}, defaults={"email": "zoe@example.org"})
    mark("Delete", "`QuerySet.delete`: reads the keys first, because of the cascade in Python.")
    User.objects.filter(**{NAME + "__startswith": "c"}).delete()
    mark("Delete without reading", "`_raw_delete`, as Django itself uses it.")
    users = User.objects.filter(**{NAME + "__in": ["cid", "dan"]})
    users._raw_delete(users.db)  # pylint: disable=protected-access


def reads():
    mark("Find by name", "`get`: one row, every column.")
    User.objects.get(**{NAME: "ann"})
    mark("Search", "ILIKE by way of UPPER, with OR and NOT.")
    list(User.objects.filter(Q(**{NAME + "__icontains": "an"}) | Q(email=None)).exclude(**{NAME: "dan"}).order_by(NAME))
    mark("A page", "Order, LIMIT and OFFSET; then the count of all.")
    list(User.objects.order_by("-" + NAME)[1:3])
    User.objects.filter(**{NAME + "__gte": "b"}).count()
    mark("The column only", "`values_list`.")
    list(User.objects.values_list(NAME, flat=True).distinct().order_by(NAME))
    mark("Some columns only", "`only`: the other fields are deferred.")
    list(User.objects.only(NAME).order_by("id"))
    mark("Eager load by a join", "`select_related`, two levels.")
    list(Comment.objects.select_related("post__user", "user").order_by("id"))
    mark("Eager load by a second query", "`prefetch_related`.")
    list(Post.objects.prefetch_related("user", "comments__user").order_by("id"))
    mark("Filter across a join", "The name is used but not selected.")
    list(Comment.objects.filter(**{"post__user__" + NAME: "ann"}).order_by("user__" + NAME, "id"))
    mark("Count per user", "`annotate`: GROUP BY the key only, which the other columns depend on.")
    list(User.objects.annotate(n=Count("posts")).filter(n__gte=1).order_by(NAME))
    mark("Group by the name", "`values().annotate()`.")
    list(Post.objects.values("user__" + NAME).annotate(n=Count("id")).order_by("user__" + NAME))
    mark("Exists", "`exists()`, and EXISTS with a correlated name.")
    User.objects.filter(**{NAME: "ann"}).exists()
    list(User.objects.filter(Exists(Comment.objects.filter(user=OuterRef("pk"), body=OuterRef(NAME)))))
    mark("In a sub-query", "A query as the right side of IN.")
    list(Post.objects.filter(user__in=User.objects.filter(**{NAME + "__in": ["ann", "bob"]})).order_by("id"))
    mark("Union", "`union()` of the same columns.")
    list(User.objects.filter(**{NAME: "ann"}).union(User.objects.filter(email=None)).order_by("id"))
    mark("Lock", "`select_for_update`, all its forms.")
    with transaction.atomic():
        list(User.objects.select_for_update().filter(**{NAME: "ann"}))
        list(User.objects.select_for_update(skip_locked=True).order_by(NAME)[:1])
        list(Post.objects.select_related("user").select_for_update(of=("user",), no_key=True).order_by("id"))


for _ in range(int(os.environ.get("ROUNDS", "1"))):
    writes()
    reads()
