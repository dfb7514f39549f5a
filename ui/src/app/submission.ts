/** The sending of a form: whether it is under way, and what was wrong with it. */

import { computed, ref, shallowRef, watch, type ComputedRef, type Ref } from 'vue'

import { ApiError, messageOf, type Cause } from '@/api/http'
import { session } from '@/api/session'

export interface Submission {
  busy: Ref<boolean>
  /** Why it was refused; empty when it was not. */
  problem: Ref<string>
  /** The field that is wrong, as the server names it. */
  field: Ref<string>
  /** All that was wrong, where the server names each. */
  causes: Ref<Cause[]>
  /** Both in one line. */
  told: ComputedRef<string>
  clear: () => void
  /** Does the work; whether it went well. */
  send: (work: () => Promise<unknown>) => Promise<boolean>
}

export function useSubmission(): Submission {
  const busy = ref(false)
  const problem = ref('')
  const field = ref('')
  const causes = shallowRef<Cause[]>([])
  function clear(): void {
    problem.value = ''
    field.value = ''
    causes.value = []
  }
  async function send(work: () => Promise<unknown>): Promise<boolean> {
    busy.value = true
    clear()
    try {
      await work()
      return true
    } catch (error) {
      field.value = error instanceof ApiError ? (error.field ?? '') : ''
      causes.value = error instanceof ApiError ? error.causes : []
      problem.value = messageOf(error)
      return false
    } finally {
      busy.value = false
    }
  }
  // That the session was over says nothing once it goes on.
  watch(
    () => session.ended,
    (ended) => ended || clear(),
  )
  const told = computed(() => (field.value ? `${field.value}: ${problem.value}` : problem.value))
  return { busy, problem, field, causes, told, clear, send }
}
