import { expect, it } from 'vitest'

import { cellTone, toneOf } from './tone'

it.each([
  ['Running', 'good'],
  ['CrashLoopBackOff', 'bad'],
  ['Init:CrashLoopBackOff', 'bad'],
  ['Ready,SchedulingDisabled', 'warn'],
  ['NotReady,SchedulingDisabled', 'bad'],
  ['ContainerCreating', 'busy'],
  ['Terminating', 'busy'],
  ['Something new', 'idle'],
])('%s is %s', (word, expected) => {
  expect(toneOf(word)).toBe(expected)
})

it('shares are judged by what is missing', () => {
  expect(cellTone('pods', 'Ready', '1/1')).toBe('good')
  expect(cellTone('deployments', 'Ready', '1/3')).toBe('busy')
  expect(cellTone('deployments', 'Ready', '0/3')).toBe('bad')
  expect(cellTone('deployments', 'Ready', '0/0')).toBe('idle')
})

it('a type is a state of events only', () => {
  expect(cellTone('events', 'Type', 'Warning')).toBe('warn')
  expect(cellTone('services', 'Type', 'ClusterIP')).toBeUndefined()
  expect(cellTone('pods', 'Restarts', '3')).toBeUndefined()
})
