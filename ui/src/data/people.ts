/** Names of those whom bindings and tokens mean. */

import { computed, type ComputedRef } from 'vue'

import { actOn, type Binding, type Principal, type User } from '@/api/norman'

import { compareText } from '@/lib/order'

import { useCollection } from './norman/live'

export interface People {
  users: ComputedRef<User[]>
  nameOf: (binding: Pick<Binding, 'userId' | 'userPrincipalId' | 'groupPrincipalId'>) => string
}

export function usePeople(): People {
  const { items } = useCollection<User>('user')
  const byId = computed(() => new Map(items.value.map((user) => [user.id, user])))
  const byPrincipal = computed(
    () => new Map(items.value.flatMap((user) => (user.principalIds ?? []).map((id) => [id, user] as const))),
  )
  return {
    users: computed(() => items.value.toSorted((one, other) => compareText(label(one), label(other)))),
    nameOf: ({ userId, userPrincipalId, groupPrincipalId }) => {
      const user = byId.value.get(userId ?? '') ?? byPrincipal.value.get(userPrincipalId ?? '')
      return user ? label(user) : (userId ?? userPrincipalId ?? groupPrincipalId ?? '')
    },
  }
}

/** A person's name with the name to sign in by. */
export function label(user: User): string {
  if (user.name && user.username && user.name !== user.username) return `${user.name} (${user.username})`
  return user.name || user.username || user.id
}

/** People and groups whose names begin like this, from all providers. */
export async function searchPrincipals(name: string): Promise<Principal[]> {
  return (await actOn<{ data: Principal[] }>('principals', 'search', { name })).data
}
