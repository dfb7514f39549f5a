import { expect, test } from 'vitest'

import { firstForm } from './workload'
import { WORKLOAD_QUESTIONS } from './workloadForm'

test('every field of a workload but its place is asked about once', () => {
  const fields = Object.keys(firstForm('deployments.apps')).filter((key) => key !== 'name' && key !== 'namespace')
  expect(WORKLOAD_QUESTIONS.map(({ key }) => key).sort()).toEqual(fields.sort())
})

test('what has no effect for a kind is not asked', () => {
  const asked = (kind: 'jobs.batch' | 'daemonsets.apps' | 'deployments.apps'): string[] => {
    const form = firstForm(kind)
    return WORKLOAD_QUESTIONS.filter((one) => one.when?.(form) ?? true).map(({ key }) => key)
  }
  expect(asked('daemonsets.apps')).not.toContain('replicas')
  expect(asked('jobs.batch')).not.toContain('service')
  expect(asked('deployments.apps')).toEqual(expect.arrayContaining(['replicas', 'service']))
  expect(asked('deployments.apps')).not.toContain('readyPath')
})
