import { createServer } from 'vite'

const server = await createServer({ server: { port: 0 } })
await server.listen()
console.log(JSON.stringify({ url: server.resolvedUrls.local[0].replace(/\/$/, '') }))
