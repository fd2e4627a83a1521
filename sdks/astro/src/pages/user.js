import { clerkClient } from '@clerk/astro/server'

export async function GET(context) {
  const user = await clerkClient(context).users.getUser(context.locals.auth().userId)
  return Response.json({ email: user.primaryEmailAddress.emailAddress })
}
