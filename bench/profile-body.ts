// The body that the benchmark's mapping makes of user `id`.

export function profileBody(id: number): string {
  return JSON.stringify({
    $email: [`user${id}@example.com`],
    $sms: [`+1415555${String(id % 10_000).padStart(4, '0')}`],
    $timezone: 'Europe/Berlin',
    name: `User ${id}`,
    settings: { plan: 'pro', seats: id % 50 },
  })
}
