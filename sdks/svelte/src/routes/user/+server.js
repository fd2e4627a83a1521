import { clerkClient } from 'svelte-clerk/server'

export async function GET({ locals }) {
  const user = await clerkClient.users.getUser(locals.auth().userId)
  return Response.json({ email: user.primaryEmailAddress.emailAddress })
}
