package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/clerk/clerk-sdk-go/v2"
	clerkhttp "github.com/clerk/clerk-sdk-go/v2/http"
	"github.com/clerk/clerk-sdk-go/v2/user"
)

func main() {
	clerk.SetBackend(clerk.NewBackend(&clerk.BackendConfig{
		URL: clerk.String(os.Getenv("CLERK_API_URL") + "/v1"),
		Key: clerk.String(os.Getenv("CLERK_SECRET_KEY")),
	}))
	protect := clerkhttp.RequireHeaderAuthorization(
		clerkhttp.JSONWebKey(os.Getenv("CLERK_JWT_KEY")),
	)
	http.Handle("/me", fromCookie(protect(http.HandlerFunc(me))))
	http.Handle("/user", protect(http.HandlerFunc(email)))
	http.HandleFunc("/outside", func(w http.ResponseWriter, _ *http.Request) {
		_, err := http.Get("https://outside.invalid/")
		fmt.Fprint(w, err)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"url\":\"http://localhost:%d\"}\n", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}

// The SDK reads the header only.
func fromCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session, err := r.Cookie("__session"); err == nil && r.Header.Get("Authorization") == "" {
			r.Header.Set("Authorization", "Bearer "+session.Value)
		}
		next.ServeHTTP(w, r)
	})
}

func me(w http.ResponseWriter, r *http.Request) {
	claims, _ := clerk.SessionClaimsFromContext(r.Context())
	answer(w, map[string]string{"userId": claims.Subject})
}

func email(w http.ResponseWriter, r *http.Request) {
	claims, _ := clerk.SessionClaimsFromContext(r.Context())
	found, err := user.Get(r.Context(), claims.Subject)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for _, address := range found.EmailAddresses {
		if found.PrimaryEmailAddressID != nil && address.ID == *found.PrimaryEmailAddressID {
			answer(w, map[string]string{"email": address.EmailAddress})
		}
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}
