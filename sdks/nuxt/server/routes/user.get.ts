import { clerkClient } from '@clerk/nuxt/server'

export default defineEventHandler(async (event) => {
  const user = await clerkClient(event).users.getUser(event.context.auth().userId)
  return { email: user.primaryEmailAddress.emailAddress }
})
