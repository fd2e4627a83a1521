import { clerkClient, clerkMiddleware, getAuth } from '@clerk/express'
import express from 'express'

const app = express()
app.use(clerkMiddleware())
app.get('/me', (request, response) => response.json({ userId: getAuth(request).userId }))
app.get('/user', async (request, response) => {
  const user = await clerkClient.users.getUser(getAuth(request).userId)
  response.json({ email: user.primaryEmailAddress.emailAddress })
})
app.get('/outside', async (_, response) => response.send(await fetch('https://outside.invalid/').catch(String)))

const server = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://localhost:${server.address().port}` }))
})
