import { clerkClient, clerkPlugin, getAuth } from '@clerk/fastify'
import Fastify from 'fastify'

const app = Fastify()
app.register(clerkPlugin, {
  apiUrl: process.env.CLERK_API_URL,
  proxyUrl: process.env.CLERK_PROXY_URL,
})
app.get('/me', (request) => ({ userId: getAuth(request).userId }))
app.get('/user', async (request) => {
  const user = await clerkClient.users.getUser(getAuth(request).userId)
  return { email: user.primaryEmailAddress.emailAddress }
})
app.get('/outside', () => fetch('https://outside.invalid/').catch(String))

await app.listen({ port: 0, host: '127.0.0.1' })
console.log(JSON.stringify({ url: `http://localhost:${app.server.address().port}` }))
