// Reads one request a line, base64 fields separated by tabs; writes `true` or `false` a line.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;

public final class Driver {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] fields = line.split("\t", -1);
            List<String> secrets = List.of(text(fields[3]).split(" "));
            byte[] body = Base64.getDecoder().decode(fields[5]);
            System.out.println(TemulaWebhook.verify(
                    body, header(fields[0]), header(fields[1]), header(fields[2]), secrets, Long.parseLong(text(fields[4]))));
        }
    }

    private static String text(String field) {
        return new String(Base64.getDecoder().decode(field), StandardCharsets.UTF_8);
    }

    private static String header(String field) {
        return field.isEmpty() ? null : text(field);
    }
}
