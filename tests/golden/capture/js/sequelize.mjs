// What Sequelize sends. Usage and the conversation with the recorder: ../README.md.

import { DataTypes, Op, Sequelize, Transaction, col, fn, literal } from 'sequelize'
import { mark } from './mark.mjs'

const { NAME, PGHOST, PGPORT, PGDATABASE } = process.env
const sequelize = new Sequelize(PGDATABASE, 'postgres', '', {
  host: PGHOST, port: PGPORT, dialect: 'postgres', logging: false, define: { underscored: true }
})
const id = { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true }
const User = sequelize.define('User', {
  id, [NAME]: { type: DataTypes.STRING(100), unique: true }, email: DataTypes.STRING, logins: { type: DataTypes.INTEGER, defaultValue: 0 }
}, { tableName: 'users' })
const Post = sequelize.define('Post', { id, title: DataTypes.TEXT }, { tableName: 'posts' })
const Comment = sequelize.define('Comment', { id, body: DataTypes.TEXT }, { tableName: 'comments' })
User.hasMany(Post, { as: 'posts', foreignKey: 'user_id' })
Post.belongsTo(User, { as: 'user', foreignKey: 'user_id' })
Post.hasMany(Comment, { as: 'comments', foreignKey: 'post_id' })
Comment.belongsTo(User, { as: 'user', foreignKey: 'user_id' })

async function writes() {
  await mark('Create', '`Model.create`: DEFAULT for the key, RETURNING every column.')
  await User.create({ [NAME]: 'zoe', email: 'zoe@example.org' })
  await mark('Create many', '`bulkCreate`.')
  await User.bulkCreate([{ [NAME]: 'yan' }, { [NAME]: 'zoe' }])
  await mark('Create many, some there already', '`bulkCreate` with `ignoreDuplicates`.')
  await User.bulkCreate([{ [NAME]: 'ann' }, { [NAME]: 'zoe' }], { ignoreDuplicates: true })
  await mark('Upsert many', '`bulkCreate` with `updateOnDuplicate`.')
  await User.bulkCreate([{ [NAME]: 'ann', email: 'new' }], { updateOnDuplicate: [NAME, 'email'], conflictAttributes: [NAME] })
  await mark('Upsert', '`Model.upsert`.')
  await User.upsert({ [NAME]: 'ann', email: 'new@example.org' }, { conflictFields: [NAME] })
  await mark('Save', '`save()` writes what changed.')
  const user = await User.findByPk(101)
  user[NAME] = 'anna'
  await user.save()
  await mark('Update by a query', '`Model.update`, with and without RETURNING.')
  await User.update({ [NAME]: 'robert' }, { where: { [NAME]: 'bob' } })
  await User.update({ [NAME]: fn('upper', col(NAME)) }, { where: { id: { [Op.gt]: 102 } }, returning: true })
  await mark('Increment', '`increment`: the name is only what is searched for.')
  await User.increment('logins', { where: { [NAME]: 'ann' } })
  await mark('Find or create', '`findOrCreate`: in Sequelize an anonymous function in pg_temp that catches the conflict; `findCreateFind` does without it.')
  await User.findOrCreate({ where: { [NAME]: 'zoe' }, defaults: { email: 'zoe@example.org' } })
  await mark('Find, create, find', '`findCreateFind`: the same without the function.')
  await User.findCreateFind({ where: { [NAME]: 'zoe' }, defaults: { email: 'zoe@example.org' } })
  await mark('Delete by a query', '`Model.destroy`, with a limit.')
  await User.destroy({ where: { [NAME]: ['cid', 'dan'] } })
  await User.destroy({ where: { [NAME]: 'bob' }, limit: 1 })
}

async function reads() {
  await mark('Find by name', '`findOne`: columns under the names of the attributes.')
  await User.findOne({ where: { [NAME]: 'ann' } })
  await mark('Search', 'OR, ILIKE, a function of the column.')
  await User.findAll({
    where: { [Op.or]: [{ [NAME]: { [Op.iLike]: '%an%' } }, { email: null }, sequelize.where(fn('lower', col(NAME)), 'bob')] },
    order: [[NAME, 'DESC']]
  })
  await mark('A page', '`findAndCountAll`.')
  await User.findAndCountAll({ order: [NAME], limit: 2, offset: 1, where: { [NAME]: { [Op.ne]: 'dan' } } })
  await mark('Eager load by a join', '`include`, two levels; labels like `posts.user.name`.')
  await Post.findAll({ include: [{ model: User, as: 'user', where: { [NAME]: 'ann' } }, { model: Comment, as: 'comments', include: ['user'] }] })
  await mark('Eager load under a limit', 'The page is a derived table, called like the model.')
  await User.findAll({ include: ['posts'], order: [[NAME, 'ASC'], ['posts', 'id', 'ASC']], limit: 2 })
  await mark('Eager load by a second query', '`separate`.')
  await User.findAll({ include: [{ association: 'posts', separate: true }], where: { [NAME]: 'ann' } })
  await mark('The column only', '`attributes`, with another label.')
  await User.findAll({ attributes: [[NAME, 'label'], 'id'], raw: true, order: [[literal('label'), 'ASC']] })
  await mark('Group by the name', 'Across a join.')
  await Post.findAll({
    attributes: [[fn('count', col('Post.id')), 'n']], include: [{ model: User, as: 'user', attributes: [NAME] }],
    group: ['user.id', `user.${NAME}`], raw: true
  })
  await mark('Lock', '`lock`, all its forms.')
  await sequelize.transaction(async transaction => {
    await User.findOne({ where: { [NAME]: 'ann' }, transaction, lock: Transaction.LOCK.UPDATE })
    await User.findAll({ order: [NAME], limit: 1, transaction, lock: true, skipLocked: true })
    await User.findAll({ where: { [NAME]: 'bob' }, transaction, lock: { level: Transaction.LOCK.NO_KEY_UPDATE, of: User } })
  })
}

await writes()
await reads()
await sequelize.close()
process.exit() // the recorder still holds stdin open
