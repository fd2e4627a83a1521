import com.clerk.backend_api.Clerk;
import com.clerk.backend_api.helpers.security.AuthenticateRequest;
import com.clerk.backend_api.helpers.security.models.AuthenticateRequestOptions;
import com.clerk.backend_api.helpers.security.models.RequestState;
import com.clerk.backend_api.models.components.EmailAddress;
import com.clerk.backend_api.models.components.User;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.jsonwebtoken.Claims;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

public final class App {
    public static void main(String[] arguments) throws IOException {
        Clerk clerk = Clerk.builder()
            .serverURL(System.getenv("CLERK_API_URL") + "/v1")
            .bearerAuth(System.getenv("CLERK_SECRET_KEY"))
            .build();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        route(server, "/me", headers -> {
            String user = userOf(headers);
            return "{\"userId\":" + (user == null ? "null" : '"' + user + '"') + "}";
        });
        route(server, "/user", headers -> "{\"email\":\"" + emailOf(clerk, userOf(headers)) + "\"}");
        route(server, "/outside", headers -> {
            HttpRequest request = HttpRequest.newBuilder(URI.create("https://outside.invalid/")).build();
            return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
        });
        server.start();
        System.out.println("{\"url\":\"http://localhost:" + server.getAddress().getPort() + "\"}");
    }

    private static String userOf(Map<String, List<String>> headers) {
        RequestState state = AuthenticateRequest.authenticateRequest(
            headers,
            AuthenticateRequestOptions.jwtKey(System.getenv("CLERK_JWT_KEY"))
                .acceptsTokens(List.of("session_token"))
                .build());
        return state.isSignedIn() ? state.claims().map(Claims::getSubject).orElse(null) : null;
    }

    private static String emailOf(Clerk clerk, String id) throws Exception {
        User user = clerk.users().get(id).user().orElseThrow();
        String primary = user.primaryEmailAddressId().orElseThrow();
        for (EmailAddress address : user.emailAddresses()) {
            if (primary.equals(address.id().orElse(null))) {
                return address.emailAddress();
            }
        }
        return "none";
    }

    private interface Handler {
        String answer(Map<String, List<String>> headers) throws Exception;
    }

    private static void route(HttpServer server, String path, Handler handler) {
        server.createContext(path, exchange -> {
            try {
                send(exchange, 200, handler.answer(exchange.getRequestHeaders()));
            } catch (Exception error) {
                send(exchange, 502, String.valueOf(error));
            }
        });
    }

    private static void send(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
