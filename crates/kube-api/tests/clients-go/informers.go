package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	informerset "k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// history is what handlers were told of each object.
type history struct {
	sync.Mutex
	events map[string][]string
}

func (h *history) add(object any, event string) {
	if gone, is := object.(cache.DeletedFinalStateUnknown); is {
		object = gone.Obj
	}
	accessor, err := meta.Accessor(object)
	check(err)
	h.Lock()
	defer h.Unlock()
	h.events[accessor.GetName()] = append(h.events[accessor.GetName()], event)
}

func (h *history) of(name string) string {
	h.Lock()
	defer h.Unlock()
	return strings.Join(h.events[name], " ")
}

func (h *history) print(title string) {
	h.Lock()
	defer h.Unlock()
	var names []string
	for name := range h.events {
		// Each namespace has this one, made at a moment of its own.
		if name != "kube-root-ca.crt" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("%s: %s: %s\n", title, name, strings.Join(h.events[name], " "))
	}
}

func follow(informer cache.SharedIndexInformer, show func(any) string) *history {
	told := &history{events: map[string][]string{}}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { told.add(object, "added:"+show(object)) },
		UpdateFunc: func(_, object any) {
			told.add(object, "updated:"+show(object))
		},
		DeleteFunc: func(object any) { told.add(object, "deleted") },
	})
	check(err)
	return told
}

func data(object any) string { return object.(*corev1.ConfigMap).Data["k"] }

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kept": "yes"}},
		Data:       map[string]string{"k": value},
	}
}

func deployment(name string) *appsv1.Deployment {
	marked := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: marked},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: marked},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}},
			},
		},
	}
}

// informers: what shared informers tell of, with and without a selector, and what their stores hold in the end.
func informers(ctx context.Context, config *rest.Config) {
	client := kubernetes.NewForConfigOrDie(protobuf(config))
	const space = "go-informers"
	namespace(ctx, client, space)
	maps := client.CoreV1().ConfigMaps(space)
	for _, name := range []string{"a", "b", "c"} {
		_, err := maps.Create(ctx, configMap(name, "1"), metav1.CreateOptions{})
		check(err)
	}
	factory := informerset.NewSharedInformerFactoryWithOptions(client, 0, informerset.WithNamespace(space))
	marked := informerset.NewSharedInformerFactoryWithOptions(client, 0, informerset.WithNamespace(space),
		informerset.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "kept=yes" }))
	all := follow(factory.Core().V1().ConfigMaps().Informer(), data)
	some := follow(marked.Core().V1().ConfigMaps().Informer(), data)
	sets := follow(factory.Apps().V1().Deployments().Informer(), func(object any) string {
		set := object.(*appsv1.Deployment)
		return fmt.Sprintf("%d/%s", *set.Spec.Replicas, set.Spec.Template.Spec.Containers[0].Image)
	})
	for _, factory := range []informerset.SharedInformerFactory{factory, marked} {
		factory.Start(ctx.Done())
		for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
			if !synced {
				check(fmt.Errorf("%v never synced", kind))
			}
		}
	}
	changed, err := maps.Update(ctx, configMap("a", "2"), metav1.UpdateOptions{})
	check(err)
	// An object that leaves the selector is gone for who follows it.
	changed.Labels = nil
	changed.Data["k"] = "3"
	_, err = maps.Update(ctx, changed, metav1.UpdateOptions{})
	check(err)
	_, err = maps.Create(ctx, configMap("d", "1"), metav1.CreateOptions{})
	check(err)
	check(maps.Delete(ctx, "b", metav1.DeleteOptions{}))
	_, err = maps.Patch(ctx, "c", types.StrategicMergePatchType, []byte(`{"data":{"k":"2"}}`), metav1.PatchOptions{})
	check(err)
	deployments := client.AppsV1().Deployments(space)
	_, err = deployments.Create(ctx, deployment("web"), metav1.CreateOptions{})
	check(err)
	scale, err := deployments.GetScale(ctx, "web", metav1.GetOptions{})
	check(err)
	scale.Spec.Replicas = 3
	_, err = deployments.UpdateScale(ctx, "web", scale, metav1.UpdateOptions{})
	check(err)
	check(deployments.Delete(ctx, "web", metav1.DeleteOptions{}))
	until(ctx, "all events", func() bool {
		return strings.HasSuffix(all.of("a"), "updated:3") && strings.HasSuffix(all.of("b"), "deleted") &&
			strings.HasSuffix(all.of("c"), "updated:2") && all.of("d") != "" &&
			strings.HasSuffix(some.of("a"), "deleted") && strings.HasSuffix(some.of("b"), "deleted") &&
			strings.HasSuffix(some.of("c"), "updated:2") && some.of("d") != "" &&
			strings.HasSuffix(sets.of("web"), "deleted")
	})
	all.print("all")
	some.print("selected")
	sets.print("deployments")
	held, err := marked.Core().V1().ConfigMaps().Lister().ConfigMaps(space).List(labels.Everything())
	check(err)
	var names []string
	for _, object := range held {
		names = append(names, object.Name+"="+object.Data["k"])
	}
	sort.Strings(names)
	fmt.Println("held:", strings.Join(names, " "))
	resync(ctx, client, space)
}

// resync: an informer tells again of what did not change.
func resync(ctx context.Context, client kubernetes.Interface, space string) {
	informer := informerset.NewSharedInformerFactoryWithOptions(client, time.Second, informerset.WithNamespace(space)).
		Core().V1().ConfigMaps().Informer()
	again := make(chan string, 1)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(old, new any) {
		before, after := old.(*corev1.ConfigMap), new.(*corev1.ConfigMap)
		if after.Name == "c" && before.ResourceVersion == after.ResourceVersion {
			select {
			case again <- after.Data["k"]:
			default:
			}
		}
	}})
	check(err)
	go informer.Run(ctx.Done())
	select {
	case value := <-again:
		fmt.Println("told again of c:", value)
	case <-ctx.Done():
		check(fmt.Errorf("no resync"))
	}
}

// relist: a watch from a revision that is no longer held is refused, and the informer lists again.
func relist(ctx context.Context, config *rest.Config) {
	client := kubernetes.NewForConfigOrDie(protobuf(config))
	const space = "go-relist"
	namespace(ctx, client, space)
	maps := client.CoreV1().ConfigMaps(space)
	_, err := maps.Create(ctx, configMap("a", "1"), metav1.CreateOptions{})
	check(err)
	var lock sync.Mutex
	lists, watches, expired := 0, 0, 0
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			lock.Lock()
			lists++
			lock.Unlock()
			return maps.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			lock.Lock()
			watches++
			first := watches == 1
			lock.Unlock()
			if first {
				options.ResourceVersion = "1"
			}
			return maps.Watch(ctx, options)
		},
	}
	informer := cache.NewSharedIndexInformer(source, &corev1.ConfigMap{}, 0, cache.Indexers{})
	check(informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			lock.Lock()
			expired++
			lock.Unlock()
		}
	}))
	told := follow(informer, data)
	go informer.Run(ctx.Done())
	until(ctx, "a second list", func() bool {
		lock.Lock()
		defer lock.Unlock()
		return lists >= 2 && watches >= 2
	})
	_, err = maps.Update(ctx, configMap("a", "2"), metav1.UpdateOptions{})
	check(err)
	until(ctx, "the event after it", func() bool { return strings.HasSuffix(told.of("a"), "updated:2") })
	fmt.Println("refused:", expired > 0, "listed again:", lists >= 2)
	object, _, err := informer.GetStore().GetByKey(space + "/a")
	check(err)
	fmt.Println("held:", data(object))
}
