"""The libraries that can be recorded: how their program is made ready and run, and what versions it speaks of."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"  # Debian's own, which has Debian's packages


def said(*command, directory=HERE):
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip().replace("\n", ", ")


@dataclass
class Library:
    name: str
    title: str
    command: list
    version_command: list
    directory: Path = HERE
    preparation: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)

    def versions(self):
        return said(*self.version_command, directory=self.directory)

    def prepare(self):
        for command in self.preparation:
            subprocess.run(command, cwd=self.directory, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


VENV = HERE / "venv"
JS = HERE / "js"
NODE_VERSIONS = "for (const p of process.argv.slice(1)) console.log(p, require(`./node_modules/${p}/package.json`).version)"


def npm(name, title, script, *packages):
    return Library(name, title, ["node", script], ["node", "-e", NODE_VERSIONS, *packages], directory=JS,
                   preparation=[["npm", "install", "--no-fund", "--no-audit", "--loglevel=error"]])


LIBRARIES = [
    Library("active_record", "Active Record (Rails)", ["ruby", "active_record_app.rb"],
            ["ruby", "-e", "require 'active_record'; require 'pg'; puts \"activerecord #{ActiveRecord.version}, pg #{PG::VERSION}\""]),
    Library("django", "Django", [PYTHON, "django_app.py"],
            [PYTHON, "-c", "import django, psycopg2; print('Django', django.__version__ + ', psycopg2',"
             " psycopg2.__version__.split()[0])"]),
    Library("sqlalchemy", "SQLAlchemy", [VENV / "bin" / "python3", "sqlalchemy_app.py"],
            [VENV / "bin" / "python3", "-c", "import sqlalchemy, psycopg; print('SQLAlchemy', sqlalchemy.__version__ +"
             " ', psycopg', psycopg.__version__)"],
            preparation=[[PYTHON, "-m", "venv", VENV],
                         [VENV / "bin" / "pip", "install", "-q", "sqlalchemy==2.0.43", "psycopg[binary]==3.2.10"]]),
    Library("hibernate", "Hibernate", ["java", "-cp", "target/*:target", "Capture"],
            ["sh", "-c", "ls target | sed -n 's/^\\(hibernate-core\\|postgresql\\)-\\(.*\\)[.]jar$/\\1 \\2/p'"],
            directory=HERE / "hibernate",
            preparation=[["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=target"],
                         ["javac", "-cp", "target/*", "-d", "target", "Capture.java"]]),
    Library("gorm", "GORM", ["go", "run", "."],
            ["sh", "-c", "go list -m gorm.io/gorm gorm.io/driver/postgres github.com/jackc/pgx/v5"], directory=HERE / "gorm"),
    npm("sequelize", "Sequelize", "sequelize.mjs", "sequelize", "pg"),
    npm("prisma", "Prisma", "prisma.mjs", "prisma", "@prisma/adapter-pg", "pg"),
]
