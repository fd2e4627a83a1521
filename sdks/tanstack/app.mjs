import { createServer } from 'node:http'
import { clerkClient, clerkMiddleware } from '@clerk/tanstack-react-start/server'

// The middleware as the framework runs it on a server, without its build.
const middleware = clerkMiddleware().options.server

const routes = {
  '/me': async (auth) => Response.json({ userId: auth().userId }),
  '/user': async (auth) => {
    const user = await clerkClient().users.getUser(auth().userId)
    return Response.json({ email: user.primaryEmailAddress.emailAddress })
  },
  '/outside': async () => new Response(String(await fetch('https://outside.invalid/').catch(String))),
}

const server = createServer(async (incoming, outgoing) => {
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, { headers: incoming.headers })
  const next = async ({ context }) => ({ response: await routes[incoming.url](context.auth) })
  const answer = await middleware({ request, next }).then(({ response }) => response, thrown)
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers))
  outgoing.end(await answer.text())
})
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://localhost:${server.address().port}` })))

/** The framework answers with a response that was thrown. */
function thrown(error) {
  return error instanceof Response ? error : new Response(error.stack, { status: 500 })
}
