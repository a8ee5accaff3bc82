// The engine that migrates schemas is not needed, and nor is a database: only the client is generated.
export default { schema: `generated/${process.env.NAME}.prisma` }
