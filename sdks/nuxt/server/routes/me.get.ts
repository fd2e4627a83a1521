export default defineEventHandler((event) => ({ userId: event.context.auth().userId }))
