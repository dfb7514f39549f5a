/** Short messages about what was done, and questions before what cannot be undone. */

import { reactive, ref } from 'vue'

import { messageOf } from '@/api/http'

export interface Notice {
  id: number
  kind: 'done' | 'failed'
  text: string
}

export const notices = reactive<Notice[]>([])
let next = 1

export function notify(text: string, kind: Notice['kind'] = 'done'): void {
  const notice = { id: next, kind, text }
  next += 1
  notices.push(notice)
  setTimeout(() => dismiss(notice.id), kind === 'done' ? 4000 : 12_000)
}

export function dismiss(id: number): void {
  const at = notices.findIndex((notice) => notice.id === id)
  if (at >= 0) notices.splice(at, 1)
}

/** Runs something and says how it went; whether it went well. */
export async function attempt(work: () => Promise<unknown>, done = ''): Promise<boolean> {
  try {
    await work()
    if (done !== '') notify(done)
    return true
  } catch (error) {
    notify(messageOf(error), 'failed')
    return false
  }
}

export interface Question {
  title: string
  /** Sentences before the list. */
  text: string
  /** What is concerned, one a line. */
  items?: string[]
  confirm: string
  danger?: boolean
  /** What it is about is still being found out; until then nobody can say yes. */
  pending?: boolean
  answer: (yes: boolean) => void
}

export const question = ref<Question>()

/** What is found out about a question after it was asked. */
export type Findings = Pick<Question, 'text' | 'items'>

/** Asks; `false` when the person turns away. With `later`, at once, and completed when that is known. */
export function ask(asked: Omit<Question, 'answer' | 'pending'>, later?: Promise<Findings>): Promise<boolean> {
  question.value?.answer(false)
  return new Promise((resolve) => {
    const shown = reactive<Question>({
      ...asked,
      pending: later !== undefined,
      answer: (yes) => {
        question.value = undefined
        resolve(yes)
      },
    })
    question.value = shown
    later?.then(
      (found) => Object.assign(shown, found, { pending: false }),
      (error: unknown) => {
        shown.pending = false
        notify(messageOf(error), 'failed')
      },
    )
  })
}
