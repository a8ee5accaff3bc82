/* Bounds that more than one library must agree on. */
#ifndef SEGUE_LIMITS_H
#define SEGUE_LIMITS_H

#define SG_NAME_BYTES 64 /* NAMEDATALEN: 63 bytes and a NUL */

#define SG_STARTUP_MIN_BYTES 8
#define SG_STARTUP_MAX_BYTES 10000 /* MAX_STARTUP_PACKET_LENGTH in the server */

#define SG_FRAME_HEADER_BYTES   5           /* type byte and int32 length */
#define SG_FRAME_MAX_BYTES      0x3fffffffu /* PQ_LARGE_MESSAGE_LIMIT: 1 GB - 1 */
#define SG_STATEMENT_HOLD_BYTES (16u << 20) /* longest statement text held for a rewrite */

#define SG_HOSTS_MAX 32 /* of one connection string */

#define SG_CANCEL_KEY_MAX_BYTES 256 /* protocol 3.2 */

#endif
