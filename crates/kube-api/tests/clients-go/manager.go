package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	space     = "go-manager"
	finalizer = "clients.drover.test/farewell"
	lease     = "greeter"
)

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: greetings.clients.drover.test}
spec:
  group: clients.drover.test
  scope: Namespaced
  names: {plural: greetings, singular: greeting, kind: Greeting, listKind: GreetingList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [whom]
            properties: {whom: {type: string, minLength: 1}, words: {type: string, default: Hello}}
          status:
            type: object
            properties: {said: {type: string}, generation: {type: integer}}
`

var kind = schema.GroupVersionKind{Group: "clients.drover.test", Version: "v1", Kind: "Greeting"}

func greeting(name, whom string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	object.SetName(name)
	object.SetNamespace(space)
	if whom != "" {
		check(unstructured.SetNestedField(object.Object, whom, "spec", "whom"))
	}
	return object
}

// greeter keeps a ConfigMap for each Greeting and says so in its status.
type greeter struct {
	client.Client
	name string
	mu   *sync.Mutex
	by   map[string]string
}

func (g *greeter) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := greeting(request.Name, "")
	if err := g.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !object.GetDeletionTimestamp().IsZero() {
		if controllerutil.RemoveFinalizer(object, finalizer) {
			return ctrl.Result{}, g.Update(ctx, object)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(object, finalizer) {
		return ctrl.Result{}, g.Update(ctx, object)
	}
	whom, _, _ := unstructured.NestedString(object.Object, "spec", "whom")
	words, _, _ := unstructured.NestedString(object.Object, "spec", "words")
	said := words + ", " + whom
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: request.Name, Namespace: space}}
	_, err := controllerutil.CreateOrUpdate(ctx, g.Client, kept, func() error {
		kept.Data = map[string]string{"said": said}
		return controllerutil.SetControllerReference(object, kept, g.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	before := object.DeepCopy()
	check(unstructured.SetNestedField(object.Object, said, "status", "said"))
	check(unstructured.SetNestedField(object.Object, object.GetGeneration(), "status", "generation"))
	g.mu.Lock()
	g.by[request.Name] = g.name
	g.mu.Unlock()
	return ctrl.Result{}, g.Status().Patch(ctx, object, client.MergeFrom(before))
}

// start runs a manager until its context ends; the channel is closed when it has ended.
func start(ctx context.Context, settings *rest.Config, g *greeter) (ctrl.Manager, chan struct{}) {
	settings = rest.CopyConfig(settings)
	skip := true
	manager, err := ctrl.NewManager(settings, ctrl.Options{
		LeaderElection:                true,
		LeaderElectionID:              lease,
		LeaderElectionNamespace:       space,
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:        "0",
		Controller:                    config.Controller{SkipNameValidation: &skip},
	})
	check(err)
	g.Client = manager.GetClient()
	check(ctrl.NewControllerManagedBy(manager).Named("greeter").For(greeting("", "")).Owns(&corev1.ConfigMap{}).Complete(g))
	ended := make(chan struct{})
	go func() {
		check(manager.Start(ctx))
		close(ended)
	}()
	return manager, ended
}

func manage(ctx context.Context, settings *rest.Config) {
	ctrl.SetLogger(logr.Discard())
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	typed := kubernetes.NewForConfigOrDie(protobuf(settings))
	namespace(ctx, typed, space)
	plain, err := client.New(settings, client.Options{})
	check(err)
	crd := &unstructured.Unstructured{}
	check(yaml.Unmarshal([]byte(definition), &crd.Object))
	check(plain.Create(ctx, crd))
	until(ctx, "the definition to be served", func() bool {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind("GreetingList"))
		return plain.List(ctx, list, client.InNamespace(space)) == nil
	})
	by, mu := map[string]string{}, &sync.Mutex{}
	first, stop := context.WithCancel(ctx)
	one, ended := start(first, settings, &greeter{name: "first", mu: mu, by: by})
	<-one.Elected()
	two, _ := start(ctx, settings, &greeter{name: "second", mu: mu, by: by})
	said := func(name string) string {
		object := greeting(name, "")
		if err := plain.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return string(apierrors.ReasonForError(err))
		}
		text, _, _ := unstructured.NestedString(object.Object, "status", "said")
		generation, _, _ := unstructured.NestedInt64(object.Object, "status", "generation")
		return fmt.Sprintf("%s (%d)", text, generation)
	}
	check(plain.Create(ctx, greeting("early", "Ann")))
	until(ctx, "the first greeting", func() bool { return said("early") == "Hello, Ann (1)" })
	select {
	case <-two.Elected():
		check(fmt.Errorf("two lead at once"))
	default:
	}
	nobody := greeting("refused", "")
	check(unstructured.SetNestedField(nobody.Object, "", "spec", "whom"))
	err = plain.Create(ctx, nobody)
	fmt.Println("without a name:", apierrors.ReasonForError(err))
	stop()
	<-ended
	<-two.Elected()
	changed := greeting("early", "")
	check(plain.Get(ctx, client.ObjectKeyFromObject(changed), changed))
	check(unstructured.SetNestedField(changed.Object, "Bob", "spec", "whom"))
	check(plain.Update(ctx, changed))
	check(plain.Create(ctx, greeting("late", "Eve")))
	until(ctx, "greetings by the second", func() bool {
		return said("early") == "Hello, Bob (2)" && said("late") == "Hello, Eve (1)"
	})
	// What somebody spoils is put right, as the manager follows what it owns.
	spoilt := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: space, Name: "late"}
	check(plain.Get(ctx, key, spoilt))
	spoilt.Data["said"] = "nothing"
	check(plain.Update(ctx, spoilt))
	until(ctx, "the spoilt one to be put right", func() bool {
		check(plain.Get(ctx, key, spoilt))
		return spoilt.Data["said"] == "Hello, Eve"
	})
	check(plain.Delete(ctx, greeting("early", "")))
	until(ctx, "the finalizer to go", func() bool { return said("early") == "NotFound" })
	held := &coordinationv1.Lease{}
	check(plain.Get(ctx, client.ObjectKey{Namespace: space, Name: lease}, held))
	fmt.Println("leases passed on:", *held.Spec.LeaseTransitions)
	mu.Lock()
	defer mu.Unlock()
	var names []string
	for name, who := range by {
		names = append(names, name+" by "+who)
	}
	sort.Strings(names)
	fmt.Println("greeted:", strings.Join(names, ", "))
	fmt.Println("late:", said("late"))
}
