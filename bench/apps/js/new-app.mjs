// The next version of the same application: it knows the column as username.
import { run } from './loop.mjs';

await run({ version: 'new', column: 'username', parity: 1 });
