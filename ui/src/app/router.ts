import { createRouter, createWebHistory } from 'vue-router'

import { fetchOk, messageOf } from '@/api/http'
import { loadSession, session } from '@/api/session'
import { mayTakeFocus } from '@/app/focus'
import { isPartMissing } from '@/app/late'
import { notify } from '@/app/notices'
import type { Need } from '@/app/sights'
import { paths, ROOT } from '@/lib/paths'
import { t } from '@/texts'

declare module 'vue-router' {
  interface RouteMeta {
    title?: string
    /** Without the frame, and reachable without a session. */
    bare?: boolean
    /** Not for everybody: what the person has to be allowed (`app/sights`). */
    needs?: Need
  }
}

export const router = createRouter({
  history: createWebHistory(`${ROOT}/`),
  routes: [
    { path: '/', redirect: paths.clusters },
    { path: paths.login, component: () => import('@/pages/LoginPage.vue'), meta: { bare: true, title: t.login.title } },
    {
      path: paths.firstStart,
      component: () => import('@/pages/FirstStartPage.vue'),
      meta: { bare: true, title: t.firstStart.title },
    },
    {
      path: paths.confirmLogin,
      component: () => import('@/pages/ConfirmLoginPage.vue'),
      meta: { bare: true, title: t.confirmLogin.title },
      beforeEnter: (to) => to.query.cli === 'true' || paths.clusters,
    },
    { path: paths.clusters, component: () => import('@/pages/ClustersPage.vue'), meta: { title: t.nav.clusters } },
    {
      path: paths.importCluster,
      component: () => import('@/pages/ImportPage.vue'),
      meta: { title: t.importing.title, needs: 'importing' },
    },
    { path: paths.users, component: () => import('@/pages/UsersPage.vue'), meta: { title: t.nav.users, needs: 'users' } },
    { path: paths.roles, component: () => import('@/pages/RolesPage.vue'), meta: { title: t.nav.roles, needs: 'roles' } },
    { path: paths.access, component: () => import('@/pages/AccessPage.vue'), meta: { title: t.nav.access } },
    {
      path: paths.features,
      component: () => import('@/pages/FeaturesPage.vue'),
      meta: { title: t.nav.features, needs: 'features' },
    },
    { path: paths.profile, component: () => import('@/pages/ProfilePage.vue'), meta: { title: t.nav.profile } },
    { path: paths.keys, component: () => import('@/pages/KeysPage.vue'), meta: { title: t.nav.keys } },
    { path: paths.audit, component: () => import('@/pages/AuditPage.vue'), meta: { title: t.nav.audit, needs: 'audit' } },
    {
      path: paths.settings,
      component: () => import('@/pages/SettingsPage.vue'),
      meta: { title: t.nav.settings, needs: 'settings' },
    },
    { path: '/c/:cluster', component: () => import('@/pages/OverviewPage.vue'), meta: { title: t.nav.overview } },
    { path: '/c/:cluster/join', component: () => import('@/pages/JoinPage.vue'), meta: { title: t.importing.title } },
    { path: '/c/:cluster/nodes', component: () => import('@/pages/NodesPage.vue'), meta: { title: t.nav.nodes, needs: 'nodes' } },
    { path: '/c/:cluster/projects', component: () => import('@/pages/ProjectsPage.vue'), meta: { title: t.nav.projects } },
    { path: '/c/:cluster/members', component: () => import('@/pages/MembersPage.vue'), meta: { title: t.nav.members } },
    { path: '/c/:cluster/workloads', component: () => import('@/pages/WorkloadsPage.vue'), meta: { title: t.nav.allWorkloads } },
    { path: '/c/:cluster/deploy', component: () => import('@/pages/DeployPage.vue'), meta: { title: t.deploy.title } },
    { path: '/c/:cluster/create', component: () => import('@/pages/CreatePage.vue'), meta: { title: t.create.title } },
    { path: '/c/:cluster/new/:resource', component: () => import('@/pages/FormPage.vue') },
    { path: '/c/:cluster/resources', component: () => import('@/pages/ResourcesPage.vue'), meta: { title: t.nav.resources } },
    { path: '/c/:cluster/logs', component: () => import('@/pages/LogsPage.vue'), meta: { title: t.object.logs } },
    { path: '/c/:cluster/v/:view', component: () => import('@/pages/ListPage.vue') },
    { path: '/c/:cluster/r/:resource', component: () => import('@/pages/ListPage.vue') },
    { path: '/c/:cluster/r/:resource/:namespace/:name', component: () => import('@/pages/ObjectPage.vue') },
    { path: '/:rest(.*)*', component: () => import('@/pages/LostPage.vue'), meta: { title: t.lost.title } },
  ],
})

/** What had the focus when somebody set out for another page. */
let leftAt: Element | null = null

router.beforeEach(async (to, from) => {
  leftAt = document.activeElement
  if (!session.known) await loadSession()
  if (to.path === paths.login) return true
  if (!session.user) return { path: paths.login, query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  if (session.user.mustChangePassword && to.path !== paths.firstStart) return paths.firstStart
  // The chosen namespaces go along while one stays in a cluster.
  const stays = to.params.cluster !== undefined && to.params.cluster === from.params.cluster
  if (stays && from.query.ns && to.query.ns === undefined && to.path !== from.path) {
    return { ...to, query: { ...to.query, ns: from.query.ns } }
  }
  return true
})

router.onError(async (error: unknown, to) => {
  if (!isPartMissing(error)) return notify(messageOf(error), 'failed')
  const isThere = await fetchOk('GET', '/rancherversion').then(
    () => true,
    () => false,
  )
  // The server was upgraded since this page was loaded: the page of the new build knows where its files are. Of a server
  // that is away a browser would show nothing but that.
  if (isThere) location.assign(router.resolve(to.fullPath).href)
  else notify(t.app.pageAway, 'failed')
})

router.afterEach((to, from) => {
  const title = to.meta.title ?? (to.params.name ? String(to.params.name) : String(to.params.resource ?? to.params.view ?? ''))
  document.title = title ? `${title} · Drover` : 'Drover'
  // A new page begins at its heading for those who hear it.
  if (from.matched.length === 0 || to.path === from.path) return
  const isTaken = !mayTakeFocus(leftAt, document.activeElement, (one) => one.isConnected, document.body)
  if (!isTaken) document.getElementById('main')?.focus({ preventScroll: true })
})
