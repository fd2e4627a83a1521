import { createServer } from 'node:net'

// The built server takes its port from the environment only.
const free = createServer().listen(0, '127.0.0.1', () => {
  const { port } = free.address()
  free.close(async () => {
    Object.assign(process.env, { NITRO_PORT: String(port), NITRO_HOST: '127.0.0.1' })
    await import('./.output/server/index.mjs')
    console.log(JSON.stringify({ url: `http://localhost:${port}` }))
  })
})
