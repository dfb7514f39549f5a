import { expect, test } from 'vitest'

import { mayTakeFocus } from './focus'

const check = (before: string | null, now: string | null, there: string[]): boolean =>
  mayTakeFocus(before, now, (one) => there.includes(one), 'body')

test('a page takes the focus from the link that led to it, not from where somebody went on to', () => {
  expect(check('link', 'link', ['link'])).toBe(true)
  expect(check('link', 'body', ['link'])).toBe(true)
  expect(check('link', 'filter', ['link', 'filter'])).toBe(false)
  expect(check('body', 'filter', ['filter'])).toBe(false)
  expect(check('body', null, [])).toBe(true)
})

test('a page takes the focus where that fell to because a menu closed', () => {
  expect(check('menu item', 'button of the menu', ['button of the menu'])).toBe(true)
})
