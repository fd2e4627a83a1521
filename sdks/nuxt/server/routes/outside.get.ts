export default defineEventHandler(() => fetch('https://outside.invalid/').catch(String))
