// Reads one request a line, base64 fields separated by tabs; writes `true` or `false` a line.
using System;
using System.Text;

public static class Driver
{
    public static void Main()
    {
        for (var line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            var fields = line.Split('\t');
            var body = Convert.FromBase64String(fields[5]);
            Console.WriteLine(TemulaWebhook.Verify(
                body, Header(fields[0]), Header(fields[1]), Header(fields[2]), Text(fields[3]).Split(' '),
                long.Parse(Text(fields[4]))) ? "true" : "false");
        }
    }

    private static string Text(string field)
    {
        return Encoding.UTF8.GetString(Convert.FromBase64String(field));
    }

    private static string Header(string field)
    {
        return field == "" ? null : Text(field);
    }
}
