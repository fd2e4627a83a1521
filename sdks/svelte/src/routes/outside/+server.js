export const GET = async () => new Response(String(await fetch('https://outside.invalid/').catch(String)))
