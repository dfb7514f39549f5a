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
  answer: (yes: boolean) => void
}

export const question = ref<Question>()

/** Asks; `false` when the person turns away. */
export function ask(asked: Omit<Question, 'answer'>): Promise<boolean> {
  question.value?.answer(false)
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      answer: (yes) => {
        question.value = undefined
        resolve(yes)
      },
    }
  })
}
