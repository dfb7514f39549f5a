/** What the person may make: a button for the rest would only be refused. */

import { computed, ref, shallowRef, watch, type ComputedRef } from 'vue'

import { ApiError, request } from '@/api/http'

/** Of `/v1`, which shows what one's rights come to. */
interface Schema {
  collectionMethods?: string[] | null
}
/** Made through `/v3` alone. */
const POSTS = ['POST', 'blocked-POST']

const answers = new Map<string, Promise<boolean>>()
/** Counts up when rights changed. */
const round = ref(0)

function ask(type: string): Promise<boolean> {
  let answer = answers.get(type)
  if (!answer) {
    answer = request<Schema>('GET', `/v1/schemas/${type}`).then(
      (schema) => schema.collectionMethods?.some((method) => POSTS.includes(method)) === true,
      (error: unknown) => {
        // What one may not even see has no schema.
        if (error instanceof ApiError && error.status === 404) return false
        throw error
      },
    )
    answers.set(type, answer)
    answer.catch(() => answers.delete(type))
  }
  return answer
}

/** Whether somebody may make resources of a type, as far as is known: who is not told otherwise may try. */
export function useCreatable(type: string): ComputedRef<boolean> {
  const may = shallowRef(true)
  watch(
    round,
    async (_, __, onCleanup) => {
      let isOver = false
      onCleanup(() => (isOver = true))
      const answer = await ask(type).catch(() => true)
      if (!isOver) may.value = answer
    },
    { immediate: true },
  )
  return computed(() => may.value)
}

/** Asks again, after rights changed or another signed in. */
export function forgetCreatable(): void {
  answers.clear()
  round.value += 1
}
