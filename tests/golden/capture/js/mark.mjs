// Tells the recorder what comes next, and waits until it is ready for it.

import { createInterface } from 'node:readline'

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export async function mark(title, why) {
  process.stdout.write(`${title}\t${why}\n`)
  if ((await answers.next()).done) process.exit(1)
}
