import { createServer } from 'node:http'
import { RouterContextProvider, createStaticHandler } from 'react-router'
import { clerkClient, clerkMiddleware, getAuth } from '@clerk/react-router/server'

// The routes as the framework runs them on a server, without its build.
const middleware = [clerkMiddleware()]
const handler = createStaticHandler([
  {
    path: '/',
    middleware,
    children: [
      { path: 'me', loader: async (args) => Response.json({ userId: (await getAuth(args)).userId }) },
      { path: 'user', loader: async (args) => Response.json({ email: await emailOf(args) }) },
      { path: 'outside', loader: async () => new Response(String(await fetch('https://outside.invalid/').catch(String))) },
    ],
  },
])

async function emailOf(args) {
  const user = await clerkClient(args).users.getUser((await getAuth(args)).userId)
  return user.primaryEmailAddress.emailAddress
}

const server = createServer(async (incoming, outgoing) => {
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, { headers: incoming.headers })
  const answer = await handler.queryRoute(request, {
    requestContext: new RouterContextProvider(),
    generateMiddlewareResponse: async (query) => query(request),
  })
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers))
  outgoing.end(await answer.text())
})
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://localhost:${server.address().port}` })))
