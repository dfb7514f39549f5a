import { expect, test } from 'vitest'

import { objectOf, outcomeOf, queryOf, timeOf, type AuditEntry } from './query'

const entry = (fields: Partial<AuditEntry>): AuditEntry => ({ id: '1', sequence: 1, ...fields })

test('only what is given is asked for, times without their zone being local', () => {
  expect(queryOf({ user: '', kind: 'pods' }, { limit: 5, before: undefined })).toBe('kind=pods&limit=5')
  expect(new URLSearchParams(queryOf({ what: 'changes' }, {})).get('verb')).toBe('!get,list,watch,connect')
  expect(queryOf({ what: 'apply', since: 'soon' }, {})).toBe('verb=apply')
  const since = new URLSearchParams(queryOf({ since: '2026-11-29T12:30' }, {})).get('since')
  expect(since).toBe(new Date('2026-11-29T12:30').toISOString())
})

test('an entry says when, what and how it ended', () => {
  const object = { resource: 'deployments', apiGroup: 'apps', namespace: 'd', name: 'web', subresource: 'scale' }
  expect(objectOf(entry({ object }))).toBe('deployments.apps d/web scale')
  expect(objectOf(entry({}))).toBe('')
  expect(timeOf(entry({ timestamp: 't' }))).toBe('t')
  const ended = (responseCode: number, stage?: AuditEntry['stage']): string =>
    outcomeOf(entry({ responseCode, ...(stage ? { stage } : {}) }))
  expect([ended(200), ended(101, 'ResponseStarted'), ended(403), ended(409), ended(0)]).toEqual([
    'done',
    'begun',
    'refused',
    'failed',
    'failed',
  ])
})
