/** Two tabs of one browser: they share the session and the theme, and each may hold what is not saved. */

import type { Page } from '@playwright/test'

import { expect, PASSWORD, test } from './world'

const NAME = 'in-two-tabs'
const OTHER = 'second-person'

test.beforeEach(async ({ world }) => {
  await world.kubectl('delete', 'configmap', NAME, '--ignore-not-found')
  await world.kubectl('create', 'configmap', NAME, '--from-literal=first=1', '--from-literal=second=1')
})

/** A session of its own, which a test may end. */
async function signInByHand(page: Page, username = 'admin'): Promise<void> {
  await page.getByLabel('User name').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

async function signOut(page: Page, username = 'admin'): Promise<void> {
  await page.getByRole('button', { name: username, exact: true }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in to Drover' })).toBeVisible()
}

async function edit(page: Page, from: string, to: string): Promise<void> {
  await page.getByRole('button', { name: 'Edit', exact: true }).click()
  const editor = page.getByRole('textbox', { name: `YAML of ${NAME}` })
  await editor.fill((await editor.innerText()).replace(from, to))
}

async function save(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Review changes' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
}

test('who signs out in one tab and in again goes on in the others', async ({ visit, world, context }) => {
  const here = await visit('')
  await context.clearCookies()
  await here.goto(`/dashboard/c/${world.cluster}/r/configmaps/default/${NAME}?tab=yaml`)
  await signInByHand(here)
  await edit(here, 'first: "1"', 'first: "2"')
  const [there, third] = [await context.newPage(), await context.newPage()]
  await third.goto(`/dashboard/c/${world.cluster}/r/configmaps?ns=default&filter=tabs`)
  await expect(third.getByRole('link', { name: NAME })).toBeVisible()
  await there.goto('/dashboard/clusters')
  await signOut(there)
  // Where something is not saved, one is asked; elsewhere one is taken away, and back.
  const again = here.getByRole('dialog', { name: 'Sign in again' })
  await expect(again).toBeVisible()
  await expect(third.getByRole('heading', { name: 'Sign in to Drover' })).toBeVisible()
  await signInByHand(there)
  await expect(third.getByRole('link', { name: NAME })).toBeVisible()
  expect(third.url()).toContain('ns=default&filter=tabs')
  await expect(again).toHaveCount(0)
  await expect(here.getByText('Connection to the server lost.')).toHaveCount(0)
  await save(here)
  await expect(here.getByText(`${NAME} saved`)).toBeVisible()
  expect(await world.kubectl('get', 'configmap', NAME, '-o', 'jsonpath={.data.first}')).toBe('2')
})

test('nothing goes on in the name of somebody who signed in elsewhere', async ({ visit, world, context }) => {
  const here = await visit('')
  const made = await world.call(context.request, 'POST', '/v3/users', {
    type: 'user',
    username: OTHER,
    password: PASSWORD,
    mustChangePassword: false,
  })
  expect(made.status).toBe(201)
  const binding = { type: 'globalRoleBinding', userId: made.body.id, globalRoleId: 'user' }
  expect((await world.call(context.request, 'POST', '/v3/globalRoleBindings', binding)).status).toBe(201)
  await context.clearCookies()
  await here.goto(`/dashboard/c/${world.cluster}/r/configmaps/default/${NAME}?tab=yaml`)
  await signInByHand(here)
  await edit(here, 'first: "1"', 'first: "2"')
  const [there, third] = [await context.newPage(), await context.newPage()]
  await third.goto('/dashboard/settings')
  await expect(third.getByRole('heading', { name: 'Settings' })).toBeVisible()
  await there.goto('/dashboard/login')
  await signInByHand(there, OTHER)
  await expect(there.getByRole('button', { name: OTHER })).toBeVisible()
  await expect(third.getByRole('button', { name: OTHER })).toBeVisible()
  const again = here.getByRole('dialog', { name: 'Sign in again' })
  await expect(again).toContainText(`${OTHER} has signed in in another tab.`)
  await again.getByLabel('Password').fill(PASSWORD)
  await again.getByRole('button', { name: 'Sign in' }).click()
  await expect(again).toHaveCount(0)
  await save(here)
  await expect(here.getByText(`${NAME} saved`)).toBeVisible()
  await expect(there.getByRole('button', { name: 'admin', exact: true })).toBeVisible()
})

test('two tabs that edit one object are merged', async ({ visit, world, context }) => {
  const here = await visit(`/r/configmaps/default/${NAME}?tab=yaml`)
  await edit(here, 'first: "1"', 'first: "2"')
  const there = await context.newPage()
  await there.goto(here.url())
  await edit(there, 'second: "1"', 'second: "2"')
  await save(there)
  await expect(there.getByText(`${NAME} saved`)).toBeVisible()
  await expect(here.getByText('The object has changed since you began.')).toBeVisible()
  await save(here)
  const merge = here.getByRole('dialog', { name: 'Merge with a newer version' })
  await expect(merge.getByText('The changes do not touch each other.')).toBeVisible()
  await merge.getByRole('button', { name: 'Save merged' }).click()
  await expect(here.getByText(`${NAME} saved`)).toBeVisible()
  expect(JSON.parse(await world.kubectl('get', 'configmap', NAME, '-o', 'jsonpath={.data}'))).toEqual({ first: '2', second: '2' })
})

test('the theme chosen in one tab is that of the others', async ({ visit, context }) => {
  const here = await visit('')
  await here.emulateMedia({ colorScheme: 'light' })
  const there = await context.newPage()
  await there.goto('/dashboard/profile')
  await here.getByRole('button', { name: 'Switch to dark' }).click()
  await expect(there.locator('html')).toHaveAttribute('data-theme', 'dark')
  await there.getByRole('button', { name: 'admin', exact: true }).click()
  await there.getByRole('menuitem', { name: 'As the system' }).click()
  await expect(here.locator('html')).not.toHaveAttribute('data-theme', /./)
})
