import { createServer } from 'node:http'
import { handler } from './dist/server/entry.mjs'

const server = createServer(handler)
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://localhost:${server.address().port}` })))
