// The application as it has always been: it knows the column as nickname.
import { run } from './loop.mjs';

await run({ version: 'old', column: 'nickname', parity: 0 });
