import { clerkMiddleware, getAuth } from '@clerk/hono'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'

const app = new Hono()
app.use('*', clerkMiddleware({
  proxyUrl: process.env.CLERK_PROXY_URL,
  jwtKey: process.env.CLERK_JWT_KEY,
  signInUrl: process.env.CLERK_SIGN_IN_URL,
}))
routes(app)

const proxied = new Hono()
proxied.use('*', clerkMiddleware({
  frontendApiProxy: { enabled: true },
  jwtKey: process.env.CLERK_JWT_KEY,
  signInUrl: process.env.CLERK_SIGN_IN_URL,
}))
routes(proxied)

console.log(JSON.stringify({ url: await listening(app), proxied: await listening(proxied) }))

function routes(app) {
  app.get('/me', (context) => context.json({ userId: getAuth(context).userId }))
  app.get('/user', async (context) => {
    const user = await context.get('clerk').users.getUser(getAuth(context).userId)
    return context.json({ email: user.primaryEmailAddress.emailAddress })
  })
  app.get('/outside', async (context) => context.text(String(await fetch('https://outside.invalid/').catch(String))))
}

function listening({ fetch }) {
  return new Promise((resume) => {
    serve({ fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resume(`http://localhost:${port}`))
  })
}
