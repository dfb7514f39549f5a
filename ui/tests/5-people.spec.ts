import { lookOver } from './looks'
import { expect, test } from './world'

const SECRET = 'another-long-password'

test('a colleague is given a project, sees only it, and loses it at once', async ({ visit, admin, browser, world }) => {
  await world.kubectl('create', 'namespace', 'team')
  await world.kubectl('create', 'configmap', 'notes', '-n', 'team')

  await admin.goto('/dashboard/users')
  await admin.getByRole('button', { name: 'New user' }).click()
  const dialog = admin.getByRole('dialog')
  await dialog.getByLabel('User name').fill('cleo')
  await dialog.getByLabel('Full name').fill('Cleo')
  await dialog.getByLabel('Password', { exact: true }).fill(SECRET)
  await dialog.getByLabel('Must change').uncheck()
  await dialog.getByRole('button', { name: 'Create' }).click()
  await expect(admin.getByRole('row', { name: /cleo/ })).toContainText('Enabled')

  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: world.place.url })
  const cleo = await context.newPage()
  await world.signIn(cleo, 'cleo', SECRET)
  await cleo.goto('/dashboard/clusters')
  await expect(cleo.getByRole('heading', { name: 'Clusters' })).toBeVisible()
  await expect(cleo.getByRole('link', { name: 'real' })).toHaveCount(0)

  const page = await visit('/projects')
  await page.getByRole('button', { name: 'New project' }).click()
  await page.getByLabel('Name', { exact: true }).fill('Blue')
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click()
  await expect(page.getByRole('listitem').filter({ hasText: 'Blue' })).toBeVisible()
  await page.getByRole('button', { name: 'Actions for Blue' }).click()
  await page.getByRole('menuitem', { name: 'Edit', exact: true }).click()
  await page.getByLabel('Description').fill('of the blue team')
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await expect(page.getByRole('listitem').filter({ hasText: 'Blue' })).toContainText('of the blue team')
  await page
    .getByRole('row', { name: /team/ })
    .getByRole('button', { name: /Actions/ })
    .click()
  await page.getByRole('menuitem', { name: 'Move to project' }).click()
  await page.getByLabel('Project', { exact: true }).selectOption({ label: 'Blue' })
  await page.getByRole('dialog').getByRole('button', { name: 'Move to project' }).click()
  await expect(page.getByRole('row', { name: /team/ })).toContainText('Blue')

  // The filter of the frame narrows every list down to the namespaces of a project; a page that comes late leaves it open.
  await page.getByRole('link', { name: 'ConfigMaps' }).click()
  await page.getByRole('button', { name: 'All namespaces' }).click()
  await page.getByRole('checkbox', { name: /^Blue/ }).check()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('link', { name: 'notes' })).toBeVisible()
  await expect(page.getByRole('row', { name: /kube-system/ })).toHaveCount(0)
  await page.getByRole('link', { name: 'Projects & namespaces' }).click()

  await page.getByRole('button', { name: 'Actions for Blue' }).click()
  await page.getByRole('menuitem', { name: 'Members' }).click()
  await page.getByRole('button', { name: 'Add member' }).click()
  await page.getByLabel('Find a person').fill('cleo')
  await expect(page.getByLabel('Member', { exact: true })).toContainText('cleo')
  await page.getByRole('dialog').getByRole('button', { name: 'Add member' }).click()
  await expect(page.getByRole('row', { name: /Cleo/ })).toBeVisible()

  // Without a reload: the page is told that there is more to see.
  await cleo.getByRole('link', { name: 'real' }).click()
  await expect(cleo.getByRole('heading', { name: 'real' })).toBeVisible()
  const id = await world.imported(admin)
  await cleo.goto(`/dashboard/c/${id}/r/configmaps`)
  await expect(cleo.getByRole('link', { name: 'notes' })).toBeVisible()
  await expect(cleo.getByRole('row', { name: /kube-system/ })).toHaveCount(0)

  await admin.goto('/dashboard/access')
  await admin.getByLabel('Person').selectOption({ label: 'Cleo (cleo)' })
  await admin.getByLabel('Cluster', { exact: true }).selectOption({ label: 'real' })
  await admin.getByLabel('Resource', { exact: true }).fill('configmaps')
  await admin.getByLabel('Namespace', { exact: true }).fill('team')
  await admin.getByRole('button', { name: 'Why?' }).click()
  await expect(admin.getByText('Allowed', { exact: true })).toBeVisible()
  await expect(admin.getByText('project-member → edit')).toBeVisible()
  await admin.getByLabel('Namespace', { exact: true }).fill('default')
  await admin.getByRole('button', { name: 'Why?' }).click()
  await expect(admin.getByText('Not allowed')).toBeVisible()

  const members = await visit('/members')
  await members
    .getByRole('row', { name: /Cleo/ })
    .getByRole('button', { name: /Actions/ })
    .click()
  await members.getByRole('menuitem', { name: 'Remove' }).click()
  await members.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await members.getByRole('heading', { name: 'Members' }).hover()
  await expect(members.getByRole('row', { name: /Cleo/ })).toHaveCount(0)
  await cleo.goto(`/dashboard/c/${id}/r/configmaps`)
  await expect(cleo.getByRole('link', { name: 'notes' })).toHaveCount(0)
  await context.close()
})

test('pages are offered to who may see them, live, and others are told what they may not see', async ({
  admin,
  browser,
  world,
}) => {
  const id = await world.imported(admin)
  const request = admin.context().request
  const post = async (path: string, body: object): Promise<any> => {
    const answer = await world.call(request, 'POST', `/v3/${path}`, body)
    expect(answer.status).toBe(201)
    return answer.body
  }
  const user = await post('users', { type: 'user', username: 'nora', name: 'Nora', password: SECRET })
  const bind = (globalRoleId: string): Promise<any> =>
    post('globalRoleBindings', { type: 'globalRoleBinding', globalRoleId, userId: user.id })
  await bind('user')
  const project = await post('projects', { type: 'project', clusterId: id, name: 'Green' })
  await post(`clusters/${id}/namespaces`, { type: 'namespace', name: 'green', projectId: project.id })
  const roleTemplateId = 'project-member'
  await post('projectRoleTemplateBindings', {
    type: 'projectRoleTemplateBinding',
    roleTemplateId,
    projectId: project.id,
    userId: user.id,
  })
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: world.place.url })
  const nora = await context.newPage()
  await world.signIn(nora, 'nora', SECRET)
  const nav = nora.getByRole('navigation', { name: 'Main navigation' })
  const link = (name: string): ReturnType<typeof nav.getByRole> => nav.getByRole('link', { name, exact: true })

  await nora.goto('/dashboard/users')
  await expect(nora.getByRole('heading', { name: 'Users: you may not see this' })).toBeVisible()
  await expect(link('API keys')).toBeVisible()
  for (const name of ['Users', 'Roles', 'Audit log', 'Settings', 'Features']) await expect(link(name)).toHaveCount(0)
  for (const place of ['audit', 'settings'] as const) {
    await nora.goto(`/dashboard/${place}`)
    await expect(nora.locator('h1')).toBeVisible()
  }
  // Who may read settings sees them, and is offered nothing that would be refused.
  await expect(nora.getByRole('heading', { name: 'Settings', exact: true })).toBeVisible()
  await nora.goto('/dashboard/audit')
  await expect(nora.getByRole('heading', { name: 'Audit log: you may not see this' })).toBeVisible()
  expect(await lookOver(nora, 'refused')).toEqual([])
  await nora.getByRole('link', { name: 'Why may I not?' }).click()
  await expect(nora.getByText('Not allowed')).toBeVisible()
  await expect(nora.getByRole('heading', { name: 'Why may I?' })).toBeVisible()
  await nora.keyboard.press('Control+k')
  await nora.getByRole('combobox').fill('audit log')
  await expect(nora.getByText('Nothing is called that.')).toBeVisible()
  await nora.keyboard.press('Escape')

  // In a cluster too.
  await nora.goto(`/dashboard/c/${id}/nodes`)
  await expect(nora.getByRole('heading', { name: 'Nodes: you may not see this' })).toBeVisible()
  await expect(link('ConfigMaps')).toBeVisible()
  for (const name of ['Nodes', 'Custom resource definitions']) await expect(link(name)).toHaveCount(0)
  await nora.goto('/dashboard/c/c-none/r/pods')
  await expect(nora.getByText('There is no such cluster, or you may not see it.')).toBeVisible()

  // Without a reload: a right comes, and goes.
  await nora.goto('/dashboard/users')
  await expect(nora.getByRole('heading', { name: 'Users: you may not see this' })).toBeVisible()
  const given = await bind('users-manage')
  await expect(nora.getByRole('heading', { name: 'Users', exact: true })).toBeVisible()
  await expect(link('Users')).toBeVisible()
  await expect(nora.getByRole('row', { name: /Nora/ })).toBeVisible()
  const gone = await world.call(request, 'DELETE', `/v3/globalRoleBindings/${given.id}`)
  expect(gone.status).toBeLessThan(300)
  await expect(nora.getByRole('heading', { name: 'Users: you may not see this' })).toBeVisible()
  await expect(link('Users')).toHaveCount(0)
  await context.close()
  await world.call(request, 'DELETE', `/v3/projects/${project.id}`)
  await world.call(request, 'DELETE', `/v3/users/${user.id}`)
})

test('whoever may only look is offered no changes', async ({ admin, browser, world }) => {
  const id = await world.imported(admin)
  const request = admin.context().request
  const made = await world.call(request, 'POST', '/v3/users', { type: 'user', username: 'otto', password: SECRET })
  const binding = { type: 'clusterRoleTemplateBinding', roleTemplateId: 'cluster-member', clusterId: id, userId: made.body.id }
  await world.call(request, 'POST', '/v3/globalRoleBindings', {
    type: 'globalRoleBinding',
    globalRoleId: 'user-base',
    userId: made.body.id,
  })
  const role = await world.call(request, 'POST', '/v3/roleTemplates', {
    type: 'roleTemplate',
    name: 'Looker',
    context: 'cluster',
    clusterCreatorDefault: false,
    projectCreatorDefault: false,
    rules: [{ apiGroups: ['', 'apps'], resources: ['configmaps', 'deployments'], verbs: ['get', 'list', 'watch'] }],
  })
  const bound = await world.call(request, 'POST', '/v3/clusterRoleTemplateBindings', {
    ...binding,
    roleTemplateId: role.body.id,
  })
  expect(bound.status).toBe(201)
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: world.place.url })
  const otto = await context.newPage()
  await world.signIn(otto, 'otto', SECRET)
  await otto.goto(`/dashboard/c/${id}/r/configmaps?ns=default`)
  const row = otto.getByRole('row', { name: /kube-root-ca.crt/ })
  await expect(row).toBeVisible()
  await expect(otto.getByRole('link', { name: 'Create ConfigMap' })).toHaveCount(0)
  await row.getByRole('button', { name: /Actions/ }).click()
  await expect(otto.getByRole('menuitem', { name: 'Download YAML' })).toBeVisible()
  for (const name of ['Clone', 'Delete']) await expect(otto.getByRole('menuitem', { name })).toHaveCount(0)
  await otto.keyboard.press('Escape')
  await otto.goto('/dashboard/clusters')
  await expect(otto.getByRole('link', { name: 'real' })).toBeVisible()
  await expect(otto.getByRole('link', { name: 'Import cluster' })).toHaveCount(0)

  // Members are taken in where one may, and only there; a right that comes shows without a reload.
  const project = await world.call(request, 'POST', '/v3/projects', { type: 'project', clusterId: id, name: 'Orange' })
  await otto.goto(`/dashboard/c/${id}/members`)
  await expect(otto.getByRole('heading', { name: 'Members' })).toBeVisible()
  const add = otto.getByRole('button', { name: 'Add member' })
  await expect(add).toHaveCount(0)
  const owner = await world.call(request, 'POST', '/v3/projectRoleTemplateBindings', {
    type: 'projectRoleTemplateBinding',
    roleTemplateId: 'project-owner',
    projectId: project.body.id,
    userId: made.body.id,
  })
  expect(owner.status).toBe(201)
  await add.click()
  await expect(otto.getByRole('dialog').getByLabel('Where').getByRole('option')).toHaveText(['Project Orange'])
  await otto.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await context.close()
  await world.call(request, 'DELETE', `/v3/projects/${project.body.id}`)
  await world.call(request, 'DELETE', `/v3/users/${made.body.id}`)
})

test('a key is shown once and works', async ({ admin, world, playwright }) => {
  await admin.goto('/dashboard/keys')
  await admin.getByRole('button', { name: 'New key' }).click()
  await admin.getByLabel('Description').fill('for a script')
  await admin.getByRole('dialog').getByRole('button', { name: 'Create' }).click()
  const key = (await admin.getByLabel('Bearer token').textContent()) ?? ''
  expect(key).toMatch(/^token-[a-z0-9]+:.+/)
  const request = await playwright.request.newContext({
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: { Authorization: `Bearer ${key}` },
  })
  expect((await request.get(`${world.place.url}/v3/users?me=true`)).status()).toBe(200)
  await request.dispose()
  await admin.getByRole('dialog').getByRole('button', { name: 'Close' }).first().click()
  await expect(admin.getByRole('row', { name: /for a script/ })).toBeVisible()
  await expect(admin.getByText(key)).toHaveCount(0)
})

test('a command line gets a token when its code is confirmed', async ({ admin, world }) => {
  const requestId = 'abcdfghjklmnpqrstvwxz12456789abc'
  const publicKey = Buffer.from(JSON.stringify({ X25519: Buffer.alloc(32, 1).toString('base64') })).toString('base64')
  const query = new URLSearchParams({ cli: 'true', requestId, publicKey, responseType: 'json' })
  const answer = (): Promise<number> =>
    admin
      .context()
      .request.get(`${world.place.url}/v1-public/authtokens/${requestId}`)
      .then((response) => response.status())
  await admin.goto(`/dashboard/auth/login?${query}`)
  await expect(admin.getByLabel('Code')).toHaveText('abcd fghj klmn pqrs tvwx z124 5678 9abc')
  expect(await answer()).toBe(404)
  await admin.getByRole('button', { name: 'Confirm' }).click()
  await expect(admin.getByText(/Confirmed/)).toBeVisible()
  expect(await answer()).toBe(200)
  // What was answered once is not answered again.
  await admin.goto(`/dashboard/auth/login?${query}`)
  await admin.getByRole('button', { name: 'Confirm' }).click()
  await expect(admin.getByRole('alert')).toBeVisible()
})

test('people see who they are and which roles they hold', async ({ admin, world }) => {
  await admin.goto('/dashboard/clusters')
  await admin.getByRole('button', { name: 'admin' }).click()
  await admin.getByRole('menuitem', { name: 'Profile' }).click()
  await expect(admin.getByRole('heading', { name: 'Profile' })).toBeVisible()
  await expect(admin.getByRole('region', { name: 'Roles you hold' })).toContainText('Admin')
  await expect(admin.getByText(/^local:\/\/user-/)).toBeVisible()
  await admin.getByLabel('Theme').selectOption('Dark')
  await expect(admin.locator('html')).toHaveAttribute('data-theme', 'dark')
  await admin.getByLabel('Theme').selectOption('As the system')
  await expect(admin.locator('html')).not.toHaveAttribute('data-theme')
  const before = await admin.getByLabel('Full name').inputValue()
  await admin.getByLabel('Full name').fill('The Administrator')
  await admin.getByRole('button', { name: 'Save' }).click()
  const name = async (): Promise<string> =>
    (await world.call(admin.context().request, 'GET', '/v3/users?me=true')).body.data[0].name as string
  await expect.poll(name).toBe('The Administrator')
  await admin.getByLabel('Full name').fill(before)
  await admin.getByRole('button', { name: 'Save' }).click()
  await expect.poll(name).toBe(before)
})

test('a feature is switched, and what that means is told', async ({ admin, world }) => {
  const read = async (): Promise<any[]> => (await world.call(admin.context().request, 'GET', '/v3/features')).body.data
  const free = (await read()).find((one) => one.links.update && one.status?.lockedValue == null)
  await admin.goto('/dashboard/features')
  if (!free) return expect(admin.getByText('There are no features to switch.')).toBeVisible()
  const isOn = (free.value ?? free.status?.default) === true
  await admin.getByRole('button', { name: `Actions for ${free.id}` }).click()
  await admin.getByRole('menuitem', { name: isOn ? 'Turn off' : 'Turn on' }).click()
  await admin
    .getByRole('dialog')
    .getByRole('button', { name: isOn ? 'Turn off' : 'Turn on' })
    .click()
  await expect.poll(async () => (await read()).find((one) => one.id === free.id).value).toBe(!isOn)
  await world.call(admin.context().request, 'PUT', `/v3/features/${free.id}`, { value: free.value })
})

test('a role is made, and a setting is changed', async ({ admin, world }) => {
  await admin.goto('/dashboard/roles')
  await admin.getByRole('button', { name: 'New role' }).click()
  await admin.getByLabel('Name', { exact: true }).fill('Pod reader')
  await admin.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await admin.getByLabel('Filter Roles').fill('Pod reader')
  await expect(admin.getByRole('row', { name: /Pod reader/ })).toContainText('get, list, watch: pods')

  await admin.goto('/dashboard/settings?q=password-min')
  await admin.getByRole('button', { name: /Actions for password-min-length/ }).click()
  await admin.getByRole('menuitem', { name: 'Edit' }).click()
  await admin.getByLabel('Value').fill('14')
  await admin.getByRole('button', { name: 'Save' }).click()
  await expect(admin.getByRole('row', { name: /password-min-length/ })).toContainText('14')
  const setting = await world.call(admin.context().request, 'GET', '/v3/settings/password-min-length')
  expect(setting.body.value).toBe('14')
})
