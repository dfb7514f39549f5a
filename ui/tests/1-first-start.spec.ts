import { expect, PASSWORD, test } from './world'

test('a first start asks for a password of one’s own and the address of the server', async ({ page, world }) => {
  // The root of the server leads people here.
  await page.goto('/')
  await expect(page.getByRole('heading', { name: 'Sign in to Drover' })).toBeVisible()
  await expect(page.getByText('First start.')).toBeVisible()
  await page.getByLabel('User name').fill('admin')
  await page.getByLabel('Password', { exact: true }).fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toHaveText('The user name or the password is wrong.')

  await page.getByLabel('Password', { exact: true }).fill(world.place.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { name: 'Welcome to Drover' })).toBeVisible()
  await page.getByLabel('New password', { exact: true }).fill('short')
  await expect(page.getByRole('button', { name: 'Save' })).toBeDisabled()
  await page.getByLabel('New password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('New password again').fill(PASSWORD)
  await expect(page.getByLabel('Server URL')).toHaveValue(world.place.url)
  await page.getByRole('button', { name: 'Save' }).click()

  await expect(page.getByRole('heading', { name: 'Clusters' })).toBeVisible()
  await expect(page.getByRole('link', { name: 'local' })).toBeVisible()
  await page.getByRole('button', { name: 'admin' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in to Drover' })).toBeVisible()
})

test('after signing in one is where one wanted to be', async ({ page, world }) => {
  await world.signIn(page)
  await page.context().clearCookies()
  await page.goto('/dashboard/users')
  await page.getByLabel('User name').fill('admin')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { name: 'Users' })).toBeVisible()
})

test('a session that ends takes nothing along that somebody typed', async ({ page, world }) => {
  const end = (): Promise<unknown> => world.call(page.context().request, 'POST', '/v3/tokens?action=logout', {})
  const signIn = async (): Promise<void> => {
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  await page.goto('/dashboard/clusters/import')
  await page.getByLabel('User name').fill('admin')
  await signIn()
  await page.getByLabel('Name', { exact: true }).fill('Half Typed')
  await end()
  await page.getByRole('button', { name: 'Create' }).click()
  const again = page.getByRole('dialog', { name: 'Sign in again' })
  await page.keyboard.press('Escape')
  await expect(again.getByLabel('User name')).toHaveValue('admin')
  await signIn()
  await expect(again).toHaveCount(0)
  await expect(page.getByLabel('Name', { exact: true })).toHaveValue('Half Typed')
  await page.getByRole('button', { name: 'Create' }).click()
  await expect(page.getByRole('alert').filter({ hasText: 'lower-case letters' })).toBeVisible()

  // Where nothing is unsaved, one signs in as always.
  await page.getByLabel('Name', { exact: true }).fill('')
  await end()
  await page.getByRole('link', { name: 'Settings' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in to Drover' })).toBeVisible()
})
