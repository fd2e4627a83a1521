export const GET = ({ locals }) => Response.json({ userId: locals.auth().userId })
