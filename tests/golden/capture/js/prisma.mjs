// What Prisma's client sends. Usage and the conversation with the recorder: ../README.md.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { PrismaPg } from '@prisma/adapter-pg'
import { mark } from './mark.mjs'

const { NAME, PGHOST, PGPORT, PGDATABASE } = process.env

// One client for each version's schema.
mkdirSync('generated', { recursive: true })
writeFileSync(`generated/${NAME}.prisma`, readFileSync('schema.prisma', 'utf8').replaceAll('NAME', NAME))
execFileSync('node_modules/.bin/prisma', ['generate'], {
  env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', CHECKPOINT_DISABLE: '1' }, stdio: ['ignore', 'ignore', 'inherit']
})
const { PrismaClient } = (await import(`./generated/${NAME}/index.js`)).default
const adapter = new PrismaPg({ host: PGHOST, port: Number(PGPORT), database: PGDATABASE, user: 'postgres' })
const prisma = new PrismaClient({ adapter })

async function writes() {
  await mark('Create', '`create`: every column in RETURNING.')
  await prisma.user.create({ data: { [NAME]: 'zoe', email: 'zoe@example.org' } })
  await mark('Create with its posts', 'A nested write.')
  await prisma.user.create({ data: { [NAME]: 'zoe', posts: { create: [{ title: 'p' }] } }, include: { posts: true } })
  await mark('Create many', '`createMany`, and with rows there already.')
  await prisma.user.createMany({ data: [{ [NAME]: 'yan' }, { [NAME]: 'zoe', email: 'z' }] })
  await prisma.user.createMany({ data: [{ [NAME]: 'ann' }], skipDuplicates: true })
  await mark('Create many and return', '`createManyAndReturn`.')
  await prisma.user.createManyAndReturn({ data: [{ [NAME]: 'xan' }, { [NAME]: 'wim' }], select: { id: true, [NAME]: true } })
  await mark('Update', '`update`, searched by the name it sets.')
  await prisma.user.update({ where: { [NAME]: 'bob' }, data: { [NAME]: 'robert', logins: { increment: 1 } } })
  await mark('Update many', '`updateMany`, and with rows returned.')
  await prisma.user.updateMany({ where: { [NAME]: { in: ['ann'] } }, data: { [NAME]: 'anna' } })
  await prisma.user.updateManyAndReturn({ where: { id: 103n }, data: { [NAME]: null }, select: { [NAME]: true } })
  await mark('Upsert', '`upsert` on the name: one statement, ON CONFLICT.')
  await prisma.user.upsert({ where: { [NAME]: 'ann' }, create: { [NAME]: 'ann' }, update: { email: 'new@example.org' } })
  await mark('Upsert of something else', '`upsert` that cannot be one statement.')
  await prisma.user.upsert({ where: { [NAME]: 'cid' }, create: { [NAME]: 'other' }, update: { [NAME]: 'cy' }, include: { posts: true } })
  await mark('Delete', '`delete` and `deleteMany`.')
  await prisma.user.delete({ where: { [NAME]: 'dan' } })
  await prisma.user.deleteMany({ where: { [NAME]: { startsWith: 'c' } } })
}

async function reads() {
  await mark('Find by name', '`findUnique`.')
  await prisma.user.findUnique({ where: { [NAME]: 'ann' } })
  await mark('Search', 'OR, NOT, without regard to case.')
  await prisma.user.findMany({
    where: { OR: [{ [NAME]: { contains: 'AN', mode: 'insensitive' } }, { email: null }], NOT: { [NAME]: 'dan' } },
    orderBy: [{ [NAME]: { sort: 'desc', nulls: 'last' } }]
  })
  await mark('A page', 'By skip and take; then by a cursor.')
  await prisma.user.findMany({ orderBy: { [NAME]: 'asc' }, skip: 1, take: 2 })
  await prisma.user.findMany({ orderBy: { [NAME]: 'asc' }, cursor: { [NAME]: 'bob' }, take: 2 })
  await prisma.user.count({ where: { [NAME]: { gt: 'a' } } })
  await mark('Eager load', '`include`: a query a table.')
  await prisma.post.findMany({ include: { user: true, comments: { include: { user: true } } }, orderBy: { id: 'asc' } })
  await mark('Filter across a relation', '`some`, `none` and to-one.')
  await prisma.user.findMany({ where: { posts: { some: { title: 'first' } }, comments: { none: { body: 'no' } } } })
  await prisma.post.findMany({ where: { user: { is: { [NAME]: 'ann' } } }, orderBy: { user: { [NAME]: 'asc' } } })
  await mark('Distinct', 'Of the name.')
  await prisma.user.findMany({ distinct: [NAME], select: { [NAME]: true }, orderBy: { [NAME]: 'asc' } })
  await mark('Group and aggregate', '`groupBy`, `aggregate`.')
  await prisma.user.groupBy({ by: [NAME], _count: { _all: true }, _sum: { logins: true }, orderBy: { [NAME]: 'asc' } })
  await prisma.user.aggregate({ _max: { [NAME]: true }, _min: { [NAME]: true }, _count: true })
  await mark('Lock', 'By hand, as Prisma has it: `$queryRawUnsafe`.')
  await prisma.$queryRawUnsafe(`SELECT id, "${NAME}" FROM "users" WHERE "${NAME}" = $1 FOR UPDATE SKIP LOCKED`, 'ann')
}

await writes()
await reads()
await prisma.$disconnect()
process.exit() // the recorder still holds stdin open
