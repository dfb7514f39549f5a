/** The audit log: found, followed, looked into, verified; and seen by who may. */

import { expect, test } from './world'

test('what somebody does is in the log at once, can be found, and the log is whole', async ({ admin, world }) => {
  await admin.goto('/dashboard/audit')
  const log = admin.getByRole('region', { name: 'Audit log' })
  await expect(log.getByRole('row').nth(1)).toBeVisible()
  const request = admin.context().request
  const change = async (value: string): Promise<void> => {
    const answer = await world.call(request, 'PUT', '/v3/settings/ui-brand', { value })
    expect(answer.status).toBe(200)
  }
  await change('followed')
  const row = log.getByRole('row').filter({ hasText: 'settings ui-brand' }).filter({ hasText: 'update' })
  await expect(row.first()).toBeVisible()

  await admin.getByLabel('Show', { exact: true }).selectOption('changes')
  await admin.getByLabel('Kind', { exact: true }).fill('settings')
  await admin.getByLabel('Kind', { exact: true }).press('Enter')
  await expect(admin).toHaveURL(/what=changes&kind=settings/)
  await expect(row.first()).toBeVisible()
  await expect(log.getByRole('row').filter({ hasText: 'list' })).toHaveCount(0)
  const before = await row.count()
  await change('')
  await expect(row).toHaveCount(before + 1)

  await row.first().getByRole('link').click()
  const dialog = admin.getByRole('dialog')
  await expect(dialog).toContainText('PUT /v3/settings/ui-brand')
  await expect(dialog).toContainText('"previousHash"')
  await admin.keyboard.press('Escape')
  await expect(dialog).toHaveCount(0)

  await admin.getByLabel('Outcome', { exact: true }).selectOption('refused')
  await expect(log).toContainText('The log has no such entries.')
  await admin.getByRole('button', { name: 'Clear' }).click()
  await expect(row.first()).toBeVisible()
  await admin.getByRole('button', { name: 'Verify' }).click()
  await expect(admin.getByRole('status').filter({ hasText: /Whole, \d+ lines/ })).toBeVisible()
})

test('who has no right is told, and sees the log as soon as one is given', async ({ admin, world, browser }) => {
  const request = admin.context().request
  const made = await world.call(request, 'POST', '/v3/users', {
    type: 'user',
    username: 'auditor',
    password: 'auditors-have-long-passwords',
  })
  const user = made.body.id as string
  const bind = (globalRoleId: string): Promise<{ status: number; body: any }> =>
    world.call(request, 'POST', '/v3/globalRoleBindings', { type: 'globalRoleBinding', globalRoleId, userId: user })
  expect((await bind('user-base')).status).toBe(201)
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: world.place.url })
  const other = await context.newPage()
  await world.signIn(other, 'auditor', 'auditors-have-long-passwords')
  await other.goto('/dashboard/audit')
  await expect(other.getByRole('heading', { name: 'Audit log: you may not see this' })).toBeVisible()
  const role = await world.call(request, 'POST', '/v3/globalRoles', {
    type: 'globalRole',
    name: 'Auditor',
    rules: [{ apiGroups: ['auditlog.cattle.io'], resources: ['auditlogs'], verbs: ['get', 'list', 'watch'] }],
  })
  expect((await bind(role.body.id as string)).status).toBe(201)
  await expect(other.getByRole('region', { name: 'Audit log' }).getByRole('row').nth(1)).toBeVisible()
  await expect(other.getByRole('heading', { name: 'Audit log', exact: true })).toBeVisible()
  await context.close()
})
