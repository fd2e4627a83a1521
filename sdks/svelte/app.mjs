import { createServer } from 'vite'

const server = await createServer({ server: { port: 0 } })
await server.listen()
const url = server.resolvedUrls.local[0].replace(/\/$/, '')
console.log(JSON.stringify({ url, proxied: url }))
